internal import FlowCore
public import FlowModels

extension Checkpoint {
  /// A request with the model's defaults and a random seed.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - schedule: the sampling schedule.
  ///   - guidanceScale: the guidance scale; nil for the schedule's default.
  public func request(
    _ prompt: String, schedule: ScheduleChoice = .automatic, guidanceScale: Float? = nil
  ) -> GenerationRequest {
    let defaults = defaults(for: schedule)
    var request = GenerationRequest(prompt: prompt)
    request.schedule = schedule
    request.stepCount = defaults.stepCount
    request.guidance = guidance(scale: guidanceScale ?? defaults.guidanceScale)
    // Short enough to be typed again.
    request.seed = UInt64(UInt32.random(in: 0 ... .max))
    return request
  }

  /// The prompt tags of a request that name something that is not loaded, each once.
  public func unusedTags(in request: GenerationRequest) -> [UnusedTag] {
    let negatives = request.guidance.readsUnprompted ? [request.negativePrompt] : []
    let prompts = [request.prompt] + negatives + (request.blend?.parts.map(\.prompt) ?? [])
    var seen: Set<UnusedTag> = []
    return prompts.flatMap { unusedTags(in: $0, syntax: request.promptSyntax) }
      .filter { seen.insert($0).inserted }
  }
}

extension Checkpoint {
  /// This model's overrides with some of them replaced: the path of their file, and its content.
  ///
  /// - Parameters:
  ///   - schedule: the sampling schedule; nil leaves it unchanged, and so for the others.
  ///   - stepCount: the number of steps.
  ///   - guidanceScale: the guidance scale.
  /// - Throws: `requestInvalid` if no plan can be made with the new defaults.
  public func noting(
    schedule: ScheduleChoice? = nil, stepCount: Int? = nil, guidanceScale: Float? = nil
  ) throws(ModelError) -> (path: String, bytes: [UInt8]) {
    var noted = notes
    noted.schedule = schedule ?? notes.schedule
    noted.stepCount = stepCount ?? notes.stepCount
    noted.guidanceScale = guidanceScale ?? notes.guidanceScale
    var request = GenerationRequest(prompt: "")
    let choice = noted.schedule ?? .automatic
    request.schedule = choice
    request.stepCount = noted.stepCount ?? defaults(for: choice).stepCount
    _ = try plan(for: request, width: nativeSize.width, height: nativeSize.height)
    return (noted.path, noted.serialized())
  }
}
