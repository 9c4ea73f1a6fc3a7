internal import FlowCore
internal import FlowModels
internal import StreamFlow

/// The sampling parameters that images, jobs and live streams share.
struct SamplingFields: Codable, Sendable {
  var prompt: String?
  var negativePrompt: String?
  var seed: UInt64?
  var stepCount: Int?
  var guidance: Guidance.Kind?
  var guidanceScale: Float?
  var delta: Float?
  var skipLayers: SkipLayerGuidance?
  var schedule: ScheduleChoice?
  var spacing: FlowMatchingSchedule.Spacing?
  var solver: Solver?
  var blend: PromptBlend?
  var seedBlend: SeedBlend?

  /// The names in stored jobs, which equal those of requests.
  private enum CodingKeys: String, CodingKey {
    case prompt, seed, guidance, delta, schedule, spacing, solver, blend
    case negativePrompt = "negative_prompt"
    case stepCount = "steps"
    case guidanceScale = "guidance_scale"
    case seedBlend = "seed_blend"
    case skipLayers = "skip_layers"
  }

  init(_ fields: inout RequestFields, limits: ServerLimits) throws(ServerError) {
    prompt = try fields.text("prompt", limit: limits.promptLength)
    negativePrompt = try fields.text("negative_prompt", limit: limits.promptLength)
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

  /// The request of a prompt, with the model's defaults.
  ///
  /// They equal those of `streamflow generate`, so that a seed determines the same image in both.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - checkpoint: the model.
  ///   - spacing: the timestep spacing; nil for the model's own.
  func request(
    _ prompt: String, of checkpoint: Checkpoint, spacing: FlowMatchingSchedule.Spacing?
  ) -> GenerationRequest {
    var request = checkpoint.request(
      prompt, schedule: schedule ?? .automatic, guidanceScale: guidanceScale)
    request.spacing = spacing
    return request.changed(by: self, of: checkpoint)
  }
}

extension GenerationRequest {
  /// The same request with some parameters changed.
  func changed(by fields: SamplingFields, of checkpoint: Checkpoint) -> GenerationRequest {
    var request = self
    if let prompt = fields.prompt { request.prompt = prompt }
    if let negative = fields.negativePrompt { request.negativePrompt = negative }
    if let seed = fields.seed { request.seed = seed }
    if let steps = fields.stepCount { request.stepCount = steps }
    request.guidance = request.guidance.changed(by: fields, of: checkpoint)
    if let skipLayers = fields.skipLayers { request.skipLayerGuidance = skipLayers }
    if let schedule = fields.schedule { request.schedule = schedule }
    if let spacing = fields.spacing { request.spacing = spacing }
    if let solver = fields.solver { request.solver = solver }
    // An empty blend removes an existing one.
    if let blend = fields.blend { request.blend = blend.parts.isEmpty ? nil : blend }
    if let seedBlend = fields.seedBlend { request.seedBlend = seedBlend }
    return request
  }
}

extension Guidance {
  /// The same guidance with some parameters changed; a scale alone has its usual meaning for the
  /// model.
  fileprivate func changed(by fields: SamplingFields, of checkpoint: Checkpoint) -> Guidance {
    let delta = fields.delta ?? self.delta
    if let kind = fields.guidance {
      let defaults = checkpoint.defaults(for: fields.schedule ?? .automatic)
      let scale = fields.guidanceScale ?? (self == .none ? defaults.guidanceScale : self.scale)
      return kind.guidance(scale: scale, delta: delta)
    }
    let scale = fields.guidanceScale ?? self.scale
    guard let kind, kind != .none else { return checkpoint.guidance(scale: scale) }
    return kind.guidance(scale: scale, delta: delta)
  }
}

/// Skip-layer guidance is stored as it is written; decoding rejects what is not understood.
extension SkipLayerGuidance: Codable {}
