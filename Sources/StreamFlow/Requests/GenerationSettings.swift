public import FlowCore
public import FlowModels

/// The settings of an image, read from the text that image generators store in its file.
///
/// The text is the `parameters` format of AUTOMATIC1111's web UI, which this package and
/// stable-diffusion.cpp write too: the prompt, an optional negative prompt after
/// `Negative prompt:`, and a last line of `Name: value` pairs. Both prompts may span lines.
public struct GenerationSettings: Equatable, Sendable {
  /// One `Name: value` pair of the last line.
  public struct Field: Equatable, Sendable {
    /// The name as written, such as `CFG scale`.
    public let name: String
    /// The value without quotes.
    public let value: String

    /// Creates a field.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// The prompt; empty if the text has none.
  public var prompt = ""
  /// The negative prompt; empty if the text has none.
  public var negativePrompt = ""
  /// The pairs of the last line, in order.
  ///
  /// A name may occur more than once.
  public var fields: [Field] = []

  /// Creates settings without values.
  public init() {}

  /// The value of the first field with a name, in any capitalization.
  public subscript(name: String) -> String? { values(of: name).first }

  /// The values of all fields with a name, in any capitalization, in order.
  public func values(of name: String) -> [String] {
    let name = name.lowercased()
    return fields.lazy.filter { $0.name.lowercased() == name }.map(\.value)
  }
}

// MARK: - Typed values

extension GenerationSettings {
  /// Whether this package wrote the text.
  public var isFromStreamFlow: Bool { self["Version"]?.hasPrefix("StreamFlow ") == true }

  /// The number of sampling steps.
  public var stepCount: Int? { self["Steps"].flatMap { Int($0) } }

  /// The seed of the noise.
  public var seed: UInt64? { self["Seed"].flatMap { UInt64($0) } }

  /// The guidance scale.
  public var guidanceScale: Float? { self["CFG scale"].flatMap { Float($0) } }

  /// The kind of guidance, if it differs from the one that the scale implies.
  public var guidanceKind: Guidance.Kind? {
    self["Guidance"].flatMap { Guidance.Kind(rawValue: $0) }
  }

  /// The delta of self-negative and onetime-negative guidance.
  public var delta: Float? { self["Delta"].flatMap { Float($0) } }

  /// The width and height in pixels.
  public var size: (width: Int, height: Int)? {
    let extents = self["Size"]?.split(separator: "x").map { Int($0) }
    guard let extents, extents.count == 2, let width = extents[0], let height = extents[1] else {
      return nil
    }
    return (width, height)
  }

  /// The name of the model.
  public var model: String? { self["Model"] }

  /// The solver, if ``sampler`` names one of this package's.
  public var solver: Solver? { sampler.flatMap { Solver(rawValue: $0.lowercased()) } }

  /// The name of the sampler, as the program that made the image calls it.
  public var sampler: String? { self["Sampler"] }

  /// The sampling schedule, if the text names one of this package's.
  public var schedule: ScheduleChoice? { self["Schedule"].flatMap { ScheduleChoice($0) } }

  /// The spacing of the noise levels.
  public var spacing: FlowMatchingSchedule.Spacing? {
    self["Spacing"].flatMap { FlowMatchingSchedule.Spacing(rawValue: $0) }
  }

  /// The random generator of the noise.
  ///
  /// AUTOMATIC1111 names it only if it is not the default, PyTorch's CUDA generator; its `NV` is
  /// the same sequence.
  public var noiseSource: GaussianNoise.Source? {
    switch self["RNG"]?.lowercased() {
    case "cpu": .cpu
    case "cuda", "nv", "gpu": .cuda
    case nil: isFromStreamFlow || fields.isEmpty ? nil : .cuda
    default: nil
    }
  }

  /// The number of text encoder layers that were skipped, counted from 0.
  ///
  /// The text counts from 1, which skips none.
  public var skippedTextLayers: Int? {
    self["Clip skip"].flatMap { Int($0) }.map { max($0, 1) - 1 }
  }

  /// The syntax of the prompts, if it is not the weighted one.
  public var promptSyntax: PromptSyntax? {
    self["Prompt syntax"].flatMap { PromptSyntax(rawValue: $0) }
  }

  /// The denoising strength, if the image was made from another.
  public var strength: Double? { self["Denoising strength"].flatMap { Double($0) } }

  /// The hash of the image that it was made from, if the text names it.
  public var inputHash: String? { self["Input hash"] }

  /// The hash of the mask, if the text names it.
  public var maskHash: String? { self["Mask hash"] }

  /// The skip-layer guidance, if there was any.
  public var skipLayerGuidance: SkipLayerGuidance? {
    self["Skip layers"].flatMap { SkipLayerGuidance(rawValue: $0) }
  }

  /// The number of reference images, if there were any.
  public var referenceCount: Int? {
    self["References"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
  }

  /// The maximum number of pixels of each reference image, if it was chosen.
  public var referenceArea: Int? {
    self["Reference area"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
  }

  /// The hashes of the reference images, one each; empty if the text has none.
  public var referenceHashes: [String] {
    self["Reference hashes"]?.split(separator: " ").map(String.init) ?? []
  }

  /// The factor of the second pass, if there was one.
  public var hiresScale: Double? { self["Hires upscale"].flatMap { Double($0) } }

  /// The number of steps of the second pass, if it differs from the first.
  public var hiresStepCount: Int? {
    self["Hires steps"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
  }

  /// The factor of the final upscaling, if there was one.
  public var upscaleFactor: Int? { self["Postprocess upscale by"].flatMap { Int($0) } }

  /// The second seed and its fraction.
  public var seedBlend: SeedBlend? {
    guard let seed = self["Variation seed"].flatMap({ UInt64($0) }),
      let fraction = self["Variation seed strength"].flatMap({ Float($0) }), fraction > 0
    else { return nil }
    return SeedBlend(seed: seed, fraction: fraction)
  }

  /// The other prompts that were blended in.
  public var blend: PromptBlend? {
    guard let text = self["Blend"], let space = text.firstIndex(of: " "),
      let kind = PromptBlend.Kind(rawValue: String(text[..<space]))
    else { return nil }
    var parts: [PromptBlend.Part] = []
    for part in text[text.index(after: space)...].split(separator: " | ") {
      guard let colon = part.lastIndex(of: ":"),
        let weight = Float(part[part.index(after: colon)...])
      else { return nil }
      parts.append(PromptBlend.Part(prompt: String(part[..<colon]), weight: weight))
    }
    return parts.isEmpty ? nil : PromptBlend(parts, kind: kind)
  }
}
