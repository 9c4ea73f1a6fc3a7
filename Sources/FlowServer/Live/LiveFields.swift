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
  private let reuse: ReuseFields
  private let upscale: Int?
  private let endsUpscaling: Bool
  /// What the model's adapters read; nil for no change.
  private(set) var controls: [OrderControl]?
  private var maskFile: [UInt8]?
  private var mask: ImageMask?
  private let endsMask: Bool
  private let maskBlur: Double?

  init(_ fields: inout RequestFields, limits: ServerLimits) throws(ServerError) {
    sampling = try SamplingFields(&fields, limits: limits)
    strength = try fields.number("strength", in: 0...1, above: true)
    fit = try fields.choice("fit", as: ImageFit.Kind.self)
    seedPolicy = try fields.choice("seed_policy", as: LiveSettings.SeedPolicy.self)
    size = try PixelSize(&fields, limits: limits)
    endsFilter = fields.isNull("similar")
    similar = try fields.number("similar", in: 0...1)
    reuse = try ReuseFields(&fields)
    endsUpscaling = fields.isNull("upscale")
    upscale = try fields.integer("upscale", in: 2...4)
    if let upscale, !Upscaler.factors.contains(upscale) {
      throw .invalid("'upscale' must be 2 or 4, got \(upscale)", parameter: "upscale")
    }
    controls = try OrderControl.all(&fields, isLive: true)
    endsMask = fields.isNull("mask")
    maskFile = try fields.file("mask")
    maskBlur = try fields.number("mask_blur", in: 0...64)
  }

  /// The same with its images decoded.
  func decoded(by intake: ImageIntake) async throws -> LiveFields {
    var live = self
    // A stream's settings hold a few images, which are not charged to the budget.
    if let controls { live.controls = try await intake.decoded(controls).controls }
    if let maskFile { live.mask = try await intake.mask(maskFile) }
    live.maskFile = nil
    return live
  }

  /// Checks that the settings have the images that are to be kept.
  func checkKept(in settings: LiveSettings?) throws(ServerError) {
    for (index, control) in (controls ?? []).enumerated() where control.keepsImage {
      guard settings?.control(of: control)?.image == nil else { continue }
      throw .invalid(
        "'controls[\(index)].keep_image' is true, and the stream has no image for "
          + "\(control.adapter.map { "'\($0)'" } ?? "its adapter"); send 'image'",
        parameter: "controls[\(index)].keep_image")
    }
  }

  /// The factor of the images' sides, changed by these parameters.
  func changed(upscale: Int?) -> Int? { endsUpscaling ? nil : self.upscale ?? upscale }

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
    settings.reuse = reuse.changed(settings.reuse)
    if let controls {
      let before = settings
      settings.request.controls = controls.map { control in
        var input = control.input
        if control.keepsImage, let own = before.control(of: control) {
          (input.image, input.mask) = (own.image, input.mask ?? own.mask)
        }
        return input
      }
    }
    if endsMask { settings.mask = nil }
    if let mask { settings.mask = mask }
    if let maskBlur { settings.maskBlur = maskBlur }
    return settings
  }
}

/// The parameters of what a stream reuses.
private struct ReuseFields {
  let holdsStill: Bool?
  let changeThreshold: Double?
  let regionMargin: Int?
  let endsRegion: Bool
  let latentBlend: Double?
  let motionResponse: Double?

  init(_ fields: inout RequestFields) throws(ServerError) {
    holdsStill = try fields.flag("hold_still")
    changeThreshold = try fields.number("change_threshold", in: 0...1)
    endsRegion = fields.isNull("region_margin")
    regionMargin = try fields.integer("region_margin", in: 0...4096)
    latentBlend = try fields.number("latent_blend", in: 0...1)
    motionResponse = try fields.number("motion_response", in: 0...1)
  }

  func changed(_ reuse: LiveReuse) -> LiveReuse {
    var reuse = reuse
    if let holdsStill { reuse.holdsStill = holdsStill }
    if let changeThreshold { reuse.changeThreshold = changeThreshold }
    if endsRegion { reuse.regionMargin = nil }
    if let regionMargin { reuse.regionMargin = regionMargin }
    if let latentBlend { reuse.latentBlend = latentBlend }
    if let motionResponse { reuse.motionResponse = motionResponse }
    return reuse
  }
}

extension LiveSettings {
  /// The input that an adapter has already.
  fileprivate func control(of control: OrderControl) -> ControlInput? {
    request.controls.first { $0.adapter == control.adapter }
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
  let clipSkip: Int?
  let size: String
  let fit: String
  let similar: Double?
  let holdStill: Bool
  let changeThreshold: Double
  let regionMargin: Int?
  let latentBlend: Double
  let motionResponse: Double
  let upscale: Int?
  let schedule: String
  let blend: [Part]
  /// Whether a mask restricts what is repainted.
  let mask: Bool
  let controls: [Control]

  struct Control: Encodable, Sendable {
    let adapter: String?
    let scale: Float
    let start: Double
    let end: Double
    let preprocess: String?
    let preset: String?
    /// Whether it reads each frame; otherwise it reads an image of its own.
    let readsFrames: Bool
  }

  struct Part: Encodable, Sendable {
    let prompt: String
    let weight: Float
  }

  init(_ settings: LiveSettings, size: PixelSize, upscale: Int?) {
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
    clipSkip = request.skippedTextLayers
    self.size = size.description
    fit = settings.fit.kind.rawValue
    similar = settings.filter?.threshold
    holdStill = settings.reuse.holdsStill
    changeThreshold = settings.reuse.changeThreshold
    regionMargin = settings.reuse.regionMargin
    latentBlend = settings.reuse.latentBlend
    motionResponse = settings.reuse.motionResponse
    self.upscale = upscale
    schedule = request.schedule.description
    blend = request.blend?.parts.map { Part(prompt: $0.prompt, weight: $0.weight) } ?? []
    mask = settings.mask != nil
    controls = request.controls.map { control in
      Control(
        adapter: control.adapter, scale: control.scale, start: control.range.lowerBound,
        end: control.range.upperBound, preprocess: control.preprocessing?.kind.rawValue,
        preset: control.preset, readsFrames: control.image == nil)
    }
  }
}
