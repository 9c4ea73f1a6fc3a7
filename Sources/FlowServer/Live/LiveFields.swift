internal import FlowCore
internal import FlowModels
internal import HTTPTypes
internal import StreamFlow

/// The parameters of a live stream's settings.
struct LiveFields {
  let sampling: SamplingFields
  private let strength: Double?
  private let fit: ImageFit.Kind?
  private let seedPolicy: LiveSettings.SeedPolicy?
  private let size: PixelSize?
  private let similar: Double?
  private let endsFilter: Bool

  init(_ fields: inout RequestFields, limits: ServerLimits) throws(ServerError) {
    sampling = try SamplingFields(&fields, limits: limits)
    strength = try fields.number("strength", in: 0...1, above: true)
    fit = try fields.choice("fit", as: ImageFit.Kind.self)
    seedPolicy = try fields.choice("seed_policy", as: LiveSettings.SeedPolicy.self)
    size = try PixelSize(&fields, limits: limits)
    endsFilter = fields.isNull("similar")
    similar = try fields.number("similar", in: 0...1)
  }

  /// The settings of a new stream.
  func settings(of checkpoint: Checkpoint) throws(ServerError) -> LiveSettings {
    guard let prompt = sampling.prompt else {
      throw ServerError(
        .badRequest, "missing_parameter",
        "'prompt' is missing; expected a text that describes the images",
        parameter: "prompt")
    }
    var settings = LiveSettings(prompt: prompt)
    settings.request = sampling.request(prompt, of: checkpoint, spacing: .uniform)
    return changed(settings, of: checkpoint)
  }

  /// Settings changed by these parameters.
  func changed(_ settings: LiveSettings, of checkpoint: Checkpoint) -> LiveSettings {
    var settings = settings
    settings.request = settings.request.changed(by: sampling, of: checkpoint)
    if let strength { settings.strength = strength }
    if let fit { settings.fit.kind = fit }
    if let seedPolicy { settings.seedPolicy = seedPolicy }
    if let size { (settings.width, settings.height) = (size.width, size.height) }
    if endsFilter { settings.filter = nil }
    if let similar { settings.filter = FrameGate.Settings(threshold: similar) }
    return settings
  }
}

/// Settings in the form of the API.
struct LiveSettingsReport: Encodable, Sendable {
  let prompt: String
  let negativePrompt: String
  let strength: Double
  let steps: Int
  let guidance: String
  let guidanceScale: Float
  let delta: Float
  let seed: UInt64
  let seedPolicy: String
  let size: String
  let fit: String
  let similar: Double?
  let schedule: String
  let blend: [Part]

  struct Part: Encodable, Sendable {
    let prompt: String
    let weight: Float
  }

  init(_ settings: LiveSettings, size: PixelSize) {
    let request = settings.request
    prompt = request.prompt
    negativePrompt = request.negativePrompt
    strength = settings.strength
    steps = request.stepCount
    guidance = request.guidance.kind?.rawValue ?? "distilled"
    guidanceScale = request.guidance.scale
    delta = request.guidance.delta
    seed = request.seed
    seedPolicy = settings.seedPolicy.rawValue
    self.size = size.description
    fit = settings.fit.kind.rawValue
    similar = settings.filter?.threshold
    schedule = request.schedule.description
    blend = request.blend?.parts.map { Part(prompt: $0.prompt, weight: $0.weight) } ?? []
  }
}
