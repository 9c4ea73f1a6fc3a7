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
    var lines = [request.prompt]
    if !request.negativePrompt.isEmpty {
      lines.append("Negative prompt: \(request.negativePrompt)")
    }
    let chosen =
      request.schedule == .automatic ? checkpoint.scheduleFinding.schedule : request.schedule
    var settings = [
      "Steps: \(request.stepCount)", "Sampler: \(quoted(request.solver.rawValue))",
      "Schedule: \(quoted((chosen ?? .automatic).description))",
      "CFG scale: \(request.guidance.scale)",
    ]
    settings += request.guidance.settings
    if let kind = request.guidance.kind, kind == Guidance.Kind.none || kind == .full,
      request.guidance != checkpoint.guidance(scale: request.guidance.scale)
    {
      // The scale alone would be read as the other kind.
      settings.append("Guidance: \(kind.rawValue)")
    }
    settings += [
      "Seed: \(request.seed)", "Size: \(width)x\(height)", "Model: \(quoted(checkpoint.name))",
      "RNG: \(request.noiseSource.rawValue.uppercased())",
      "Spacing: \((request.spacing ?? checkpoint.family.spacing).rawValue)",
    ]
    if let source = request.source {
      settings.append("Denoising strength: \(source.strength)")
      settings.append("Fit: \(source.fit.kind.rawValue)")
      if source.mask != nil { settings.append("Mask blur: \(source.maskBlur)") }
    }
    if let editing = request.editing {
      settings.append("Edit method: \(quoted(editing.method.rawValue))")
      if editing.method.readsSourcePrompt {
        settings.append("Source prompt: \(quoted(editing.sourcePrompt))")
      }
    }
    for (index, control) in request.controls.enumerated() {
      let name = control.adapter ?? checkpoint.adapters.first?.name ?? ""
      var text = "\(name):\(control.scale)"
      if let preset = control.preset { text += " \(preset)" }
      if let preprocessing = control.preprocessing { text += " \(preprocessing.kind.rawValue)" }
      if control.range != 0...1 {
        text += " \(control.range.lowerBound)-\(control.range.upperBound)"
      }
      settings.append("Adapter\(index == 0 ? "" : " \(index + 1)"): \(quoted(text))")
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
    settings += checkpoint.additions.map { addition in
      let kind = addition.kind == .lora ? "LoRA" : "Delta weights"
      return "\(kind): \(quoted("\(addition.name):\(addition.scale)"))"
    }
    switch checkpoint.autoencoderChoice {
    case .automatic: break
    case .full: settings.append("VAE: full")
    case .tiny: settings.append("VAE: tiny")
    case .path(let path):
      let name = path.split(separator: "/").last.map(String.init) ?? path
      settings.append("VAE: \(quoted(name))")
    }
    let forms = checkpoint.weightForms
    if forms != WeightForms(network: .floats, texts: .floats) {
      settings.append("Weights: \(quoted(forms.description))")
    }
    if checkpoint.networkWeights.quantization != nil {
      settings.append("Precision: int8")
    } else if provider.store.options.precision != .float32 {
      settings.append("Precision: \(provider.store.options.precision.rawValue)")
    }
    // Counted as the ecosystem does, from the last layer: 1 skips none.
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
