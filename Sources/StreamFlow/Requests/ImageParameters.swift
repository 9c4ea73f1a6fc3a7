internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The version of the package.
public let streamFlowVersion = "0.1.0"

extension Generator {
  /// The settings of an image, and what was done to it after, as the ecosystem's tools read them.
  public nonisolated func parameters(of image: GeneratedImage) -> String {
    GenerationSettings.adding(image.finishing, to: parameters(of: image.request))
  }

  /// The settings of an image as the ecosystem's tools read them.
  public nonisolated func parameters(of request: GenerationRequest) -> String {
    checkpoint.parameters(
      of: request, width: width, height: height, skippedTextLayers: skippedTextLayers,
      precision: provider.store.options.precision)
  }
}

extension LiveStream {
  /// The settings of a stream's images as the ecosystem's tools read them.
  ///
  /// The size is the model's own if the settings have none.
  public nonisolated func parameters(of settings: LiveSettings) -> String {
    let size = checkpoint.size(of: settings)
    var request = settings.checkedRequest
    request.source?.maskHash = settings.mask?.settingsHash
    let text = checkpoint.parameters(
      of: request, width: size.width, height: size.height,
      skippedTextLayers: options.skippedTextLayers, precision: store.options.precision)
    return GenerationSettings.adding(settings.reuse.fields(of: settings), to: text)
  }
}

extension LiveReuse {
  /// What differs from images that are made alone.
  fileprivate func fields(of settings: LiveSettings) -> [GenerationSettings.Field] {
    var fields: [(String, String)] = []
    if settings.seedPolicy != .fixed { fields.append(("Seeds", settings.seedPolicy.rawValue)) }
    if holdsStill { fields.append(("Hold still", "\(changeThreshold)")) }
    if let regionMargin { fields.append(("Region margin", "\(regionMargin)")) }
    if latentBlend > 0 { fields.append(("Latent blend", "\(latentBlend)")) }
    if motionResponse > 0 { fields.append(("Motion response", "\(motionResponse)")) }
    return fields.map { .init(name: $0.0, value: $0.1) }
  }
}

extension Checkpoint {
  /// The settings of an image as the ecosystem's tools read them.
  fileprivate func parameters(
    of request: GenerationRequest, width: Int, height: Int, skippedTextLayers: Int,
    precision: EngineOptions.Precision
  ) -> String {
    var lines = [request.prompt]
    if !request.negativePrompt.isEmpty {
      lines.append("Negative prompt: \(request.negativePrompt)")
    }
    let chosen =
      request.schedule == .automatic ? scheduleFinding.schedule : request.schedule
    var settings = [
      "Steps: \(request.stepCount)", "Sampler: \(quoted(request.solver.rawValue))",
      "Schedule: \(quoted((chosen ?? .automatic).description))",
      "CFG scale: \(request.guidance.scale)",
    ]
    settings += request.guidance.settings
    if let kind = request.guidance.kind, kind == Guidance.Kind.none || kind == .full,
      request.guidance != guidance(scale: request.guidance.scale)
    {
      // The scale alone would be read as the other kind.
      settings.append("Guidance: \(kind.rawValue)")
    }
    settings += [
      "Seed: \(request.seed)", "Size: \(width)x\(height)", "Model: \(quoted(name))",
      "RNG: \(request.noiseSource.rawValue.uppercased())",
      "Spacing: \((request.spacing ?? family.spacing).rawValue)",
    ]
    if let source = request.source {
      settings.append("Denoising strength: \(source.strength)")
      settings.append("Fit: \(source.fit.kind.rawValue)")
      let color = source.fit.background
      if source.fit.kind == .contain, color != .black {
        settings.append("Fit background: \(color.red) \(color.green) \(color.blue)")
      }
      if let hash = source.hash { settings.append("Input hash: \(quoted(hash))") }
      if source.mask != nil {
        settings.append("Mask blur: \(source.maskBlur)")
        if let padding = source.maskPadding { settings.append("Mask padding: \(padding)") }
        if let hash = source.maskHash { settings.append("Mask hash: \(quoted(hash))") }
      }
    }
    if let skipping = request.skipLayerGuidance {
      settings.append("Skip layers: \(quoted(skipping.rawValue))")
    }
    if !request.references.isEmpty {
      settings.append("References: \(request.references.count)")
      if let area = request.referenceArea { settings.append("Reference area: \(area)") }
      let hashes = request.referenceHashes.joined(separator: " ")
      if !hashes.isEmpty { settings.append("Reference hashes: \(quoted(hashes))") }
    }
    if let editing = request.editing {
      settings.append("Edit method: \(quoted(editing.method.rawValue))")
      if editing.method.readsSourcePrompt {
        settings.append("Source prompt: \(quoted(editing.sourcePrompt))")
      }
    }
    for (index, control) in request.controls.enumerated() {
      let name = control.adapter ?? adapters.first?.name ?? ""
      var text = "\(name):\(control.scale)"
      if let preset = control.preset { text += " \(preset)" }
      if let preprocessing = control.preprocessing { text += " \(preprocessing.kind.rawValue)" }
      if control.range != 0...1 {
        text += " \(control.range.lowerBound)-\(control.range.upperBound)"
      }
      let number = index == 0 ? "" : " \(index + 1)"
      settings.append("Adapter\(number): \(quoted(text))")
      if let hash = control.hash { settings.append("Control hash\(number): \(quoted(hash))") }
    }
    if let blend = request.blend {
      let parts = blend.parts.map { "\($0.prompt):\($0.weight)" }.joined(separator: " | ")
      settings.append("Blend: \(quoted("\(blend.kind.rawValue) \(parts)"))")
    }
    if let seeds = request.seedBlend {
      // The ecosystem's name for the noise of a second seed.
      settings.append("Variation seed: \(seeds.seed)")
      settings.append("Variation seed strength: \(seeds.fraction)")
    }
    settings += additions.map { addition in
      let kind = addition.kind == .lora ? "LoRA" : "Delta weights"
      return "\(kind): \(quoted("\(addition.name):\(addition.scale)"))"
    }
    switch autoencoderChoice {
    case .automatic: break
    case .full: settings.append("VAE: full")
    case .tiny: settings.append("VAE: tiny")
    case .path(let path):
      let name = path.split(separator: "/").last.map(String.init) ?? path
      settings.append("VAE: \(quoted(name))")
    }
    let files = componentFiles.names
    if let network = files.network { settings.append("Transformer: \(quoted(network))") }
    settings += files.textEncoders.map { "Text encoder: \(quoted($0))" }
    let forms = weightForms
    if forms != WeightForms(network: .floats, texts: .floats) {
      settings.append("Weights: \(quoted(forms.description))")
    }
    if keyDownsampling > 1 { settings.append("Key downsampling: \(keyDownsampling)") }
    let precisions =
      (networkWeights.quantization != nil ? ["int8"] : [])
      + (precision != .float32 ? [precision.rawValue] : [])
    if !precisions.isEmpty {
      settings.append("Precision: \(precisions.joined(separator: "+"))")
    }
    // Counted as the ecosystem does, from the last layer: 1 skips none.
    let skippedTextLayers = request.skippedTextLayers ?? skippedTextLayers
    if skippedTextLayers > 0 { settings.append("Clip skip: \(skippedTextLayers + 1)") }
    if request.promptSyntax != .weighted {
      settings.append("Prompt syntax: \(request.promptSyntax.rawValue)")
    }
    settings.append("Version: StreamFlow \(streamFlowVersion)")
    return (lines + [settings.joined(separator: ", ")]).joined(separator: "\n")
  }
}

/// A value as a JSON string if it contains a comma, a quote, a backslash or a line break, as
/// AUTOMATIC1111's web UI writes and reads it.
func quoted(_ value: String) -> String {
  guard value.contains(where: { ",\"\\\n".contains($0) }) else { return value }
  let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    .replacing("\n", with: "\\n")
  return "\"\(escaped)\""
}

extension Guidance {
  /// The settings besides its scale.
  fileprivate var settings: [String] {
    switch self {
    case .none, .full, .distilled: []
    case .selfNegative(_, let delta): ["Guidance: self-negative", "Delta: \(delta)"]
    case .onetimeNegative(_, let delta): ["Guidance: onetime-negative", "Delta: \(delta)"]
    }
  }
}
