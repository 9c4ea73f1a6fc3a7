internal import FlowCore
internal import FlowModels
internal import StreamFlow

/// The sampling parameters that images, jobs and live streams share.
extension SamplingFields {
  init(_ fields: inout RequestFields, limits: ServerLimits) throws(ServerError) {
    self.init()
    prompt = try fields.text("prompt", limit: limits.promptLength)
    negativePrompt = try fields.text("negative_prompt", limit: limits.promptLength)
    promptSyntax = try fields.choice("prompt_syntax", as: PromptSyntax.self)
    skippedTextLayers = try fields.integer("clip_skip", in: 0...100)
    seed = try fields.seed("seed")
    stepCount = try fields.integer("steps", in: 1...limits.stepCount)
    guidance = try fields.choice("guidance", as: Guidance.Kind.self)
    guidanceScale = try fields.number("guidance_scale", in: -100...100).map { Float($0) }
    delta = try fields.number("delta", in: -100...100).map { Float($0) }
    if let text = try fields.text("skip_layers", limit: 100) {
      guard let skipping = SkipLayerGuidance(rawValue: text) else {
        throw .invalid(
          "'skip_layers' must be as 7,8,9 or 7,8,9:scale=2.8,start=0.01,stop=0.2, got '\(text)'",
          parameter: "skip_layers")
      }
      skipLayers = skipping
    }
    if let text = try fields.text("schedule", limit: 100) {
      guard let choice = ScheduleChoice(text) else {
        throw .invalid(
          "'schedule' must be auto, \(ScheduleChoice.spellings), got '\(text)'",
          parameter: "schedule")
      }
      schedule = choice
    }
    spacing = try fields.choice("spacing", as: FlowMatchingSchedule.Spacing.self)
    if let text = try fields.text("solver", limit: 100) {
      guard let choice = Solver(rawValue: text) else {
        throw .invalid(
          "'solver' must be \(Solver.spellings), got '\(text)'", parameter: "solver")
      }
      solver = choice
    }
    noiseSource = try fields.choice("noise", as: GaussianNoise.Source.self)
    blend = try Self.blend(&fields, limits: limits)
    seedBlend = try Self.seedBlend(&fields)
  }

  private static func blend(
    _ fields: inout RequestFields, limits: ServerLimits
  ) throws(ServerError) -> PromptBlend? {
    let kind =
      try fields.choice("blend_kind", as: PromptBlend.Kind.self) ?? .spherical
    guard let objects = try fields.objects("blend", limit: 8) else { return nil }
    var parts: [PromptBlend.Part] = []
    for var object in objects {
      let prompt = try object.text("prompt", limit: limits.promptLength) ?? ""
      let weight = try object.number("weight", in: 0...1) ?? 0.5
      try object.checkAllRead()
      parts.append(PromptBlend.Part(prompt: prompt, weight: Float(weight)))
    }
    return PromptBlend(parts, kind: kind)
  }

  private static func seedBlend(_ fields: inout RequestFields) throws(ServerError) -> SeedBlend? {
    guard var object = try fields.object("seed_blend") else { return nil }
    let seed = try object.seed("seed") ?? 0
    let fraction = try object.number("fraction", in: 0...1) ?? 0.5
    try object.checkAllRead()
    return SeedBlend(seed: seed, fraction: Float(fraction))
  }
}

/// The form in stored jobs, whose names are those of requests. Stored names and meanings must not
/// change; a new one must be optional.
extension SamplingFields: Codable {
  private enum CodingKeys: String, CodingKey {
    case prompt, seed, guidance, delta, schedule, spacing, solver, noise, blend
    case negativePrompt = "negative_prompt"
    case promptSyntax = "prompt_syntax"
    case skippedTextLayers = "clip_skip"
    case stepCount = "steps"
    case guidanceScale = "guidance_scale"
    case seedBlend = "seed_blend"
    case skipLayers = "skip_layers"
  }

  package init(from decoder: any Decoder) throws {
    self.init()
    let values = try decoder.container(keyedBy: CodingKeys.self)
    prompt = try values.decodeIfPresent(String.self, forKey: .prompt)
    negativePrompt = try values.decodeIfPresent(String.self, forKey: .negativePrompt)
    promptSyntax = try values.decodeIfPresent(PromptSyntax.self, forKey: .promptSyntax)
    skippedTextLayers = try values.decodeIfPresent(Int.self, forKey: .skippedTextLayers)
    seed = try values.decodeIfPresent(UInt64.self, forKey: .seed)
    stepCount = try values.decodeIfPresent(Int.self, forKey: .stepCount)
    guidance = try values.decodeIfPresent(Guidance.Kind.self, forKey: .guidance)
    guidanceScale = try values.decodeIfPresent(Float.self, forKey: .guidanceScale)
    delta = try values.decodeIfPresent(Float.self, forKey: .delta)
    skipLayers = try values.decodeIfPresent(SkipLayerGuidance.self, forKey: .skipLayers)
    schedule = try values.decodeIfPresent(ScheduleChoice.self, forKey: .schedule)
    spacing = try values.decodeIfPresent(FlowMatchingSchedule.Spacing.self, forKey: .spacing)
    solver = try values.decodeIfPresent(Solver.self, forKey: .solver)
    noiseSource = try values.decodeIfPresent(GaussianNoise.Source.self, forKey: .noise)
    blend = try values.decodeIfPresent(PromptBlend.self, forKey: .blend)
    seedBlend = try values.decodeIfPresent(SeedBlend.self, forKey: .seedBlend)
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(prompt, forKey: .prompt)
    try values.encodeIfPresent(negativePrompt, forKey: .negativePrompt)
    try values.encodeIfPresent(promptSyntax, forKey: .promptSyntax)
    try values.encodeIfPresent(skippedTextLayers, forKey: .skippedTextLayers)
    try values.encodeIfPresent(seed, forKey: .seed)
    try values.encodeIfPresent(stepCount, forKey: .stepCount)
    try values.encodeIfPresent(guidance, forKey: .guidance)
    try values.encodeIfPresent(guidanceScale, forKey: .guidanceScale)
    try values.encodeIfPresent(delta, forKey: .delta)
    try values.encodeIfPresent(skipLayers, forKey: .skipLayers)
    try values.encodeIfPresent(schedule, forKey: .schedule)
    try values.encodeIfPresent(spacing, forKey: .spacing)
    try values.encodeIfPresent(solver, forKey: .solver)
    try values.encodeIfPresent(noiseSource, forKey: .noise)
    try values.encodeIfPresent(blend, forKey: .blend)
    try values.encodeIfPresent(seedBlend, forKey: .seedBlend)
  }
}

/// Skip-layer guidance is stored as it is written; decoding rejects what is not understood.
extension SkipLayerGuidance: Codable {}
