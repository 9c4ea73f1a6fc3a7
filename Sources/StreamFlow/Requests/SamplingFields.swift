package import FlowCore
package import FlowModels

/// Sampling parameters as a client states them: those that are left out are nil, and the model's
/// defaults apply.
///
/// The command's options, HTTP requests, stored jobs and changes of live streams are such fields, so
/// that the same parameters make the same image through each of them.
package struct SamplingFields: Sendable {
  package var prompt: String?
  package var negativePrompt: String?
  package var promptSyntax: PromptSyntax?
  /// How many of the text encoders' last layers are skipped.
  package var skippedTextLayers: Int?
  package var seed: UInt64?
  package var stepCount: Int?
  package var guidance: Guidance.Kind?
  package var guidanceScale: Float?
  package var delta: Float?
  package var skipLayers: SkipLayerGuidance?
  package var schedule: ScheduleChoice?
  package var spacing: FlowMatchingSchedule.Spacing?
  package var solver: Solver?
  package var noiseSource: GaussianNoise.Source?
  package var blend: PromptBlend?
  package var seedBlend: SeedBlend?

  /// Fields that are all left out.
  package init() {}

  /// The request of a prompt, with the model's defaults.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - checkpoint: the model.
  ///   - spacing: the timestep spacing where none is stated; nil for the model's own.
  package func request(
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
  package func changed(by fields: SamplingFields, of checkpoint: Checkpoint) -> GenerationRequest {
    var request = self
    if let prompt = fields.prompt { request.prompt = prompt }
    if let negative = fields.negativePrompt { request.negativePrompt = negative }
    if let syntax = fields.promptSyntax { request.promptSyntax = syntax }
    if let skipped = fields.skippedTextLayers { request.skippedTextLayers = skipped }
    if let seed = fields.seed { request.seed = seed }
    if let steps = fields.stepCount { request.stepCount = steps }
    request.guidance = request.guidance.changed(by: fields, of: checkpoint)
    if let skipLayers = fields.skipLayers { request.skipLayerGuidance = skipLayers }
    if let schedule = fields.schedule { request.schedule = schedule }
    if let spacing = fields.spacing { request.spacing = spacing }
    if let solver = fields.solver { request.solver = solver }
    if let source = fields.noiseSource { request.noiseSource = source }
    // An empty blend removes an existing one.
    if let blend = fields.blend { request.blend = blend.parts.isEmpty ? nil : blend }
    if let seedBlend = fields.seedBlend { request.seedBlend = seedBlend }
    return request
  }

  /// Makes it an edit, with the method's defaults for what the fields leave out.
  package mutating func takeEditing(
    _ defaults: EditingDefaults, sourcePrompt: String, besides fields: SamplingFields
  ) {
    editing = Editing(defaults.method, sourcePrompt: sourcePrompt)
    if fields.stepCount == nil { stepCount = defaults.stepCount ?? stepCount }
    if !defaults.method.takesGuidance, fields.guidance == nil, fields.guidanceScale == nil {
      guidance = .none
    }
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
