internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// Encodes prompts and inputs into flights.
actor EncodeStage {
  private nonisolated let executor: DeviceQueue
  private let checkpoint: Checkpoint
  private let skippedLayers: Int
  private let provider: EngineProvider
  private var prompts: PromptStates?
  private var sizes: [PixelSize: Entry] = [:]

  /// What images of one size are encoded with.
  private struct Entry {
    let conditioner: Conditioner
    let source: SourceEncoder
    let adapters: AdapterEncoder
  }

  /// The device's thread, or its own.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// - Parameters:
  ///   - provider: makes programs.
  ///   - executor: the thread that programs run on.
  init(
    _ checkpoint: Checkpoint, skippedLayers: Int, provider: EngineProvider,
    executor: DeviceQueue
  ) {
    self.checkpoint = checkpoint
    self.skippedLayers = skippedLayers
    self.provider = provider
    self.executor = executor
  }

  /// The text encoders, made on first use.
  private func encoders() async throws -> PromptStates {
    if let prompts { return prompts }
    let made = try await PromptStates.make(
      checkpoint, skippedLayers: skippedLayers, provider: provider)
    // Another call may have made them meanwhile; its states are cached already.
    if let prompts { return prompts }
    prompts = made
    return made
  }

  /// Encodes a request's prompts, and returns the number of chunks that its guidance reads.
  func chunkCount(of request: GenerationRequest) async throws -> Int {
    let encoders = try await encoders()
    encoders.releaseUnused()
    try await encoders.prepare(for: [request])
    func chunks(_ prompt: String, _ blend: PromptBlend?) throws -> Int {
      try encoders.states(of: prompt, blend: blend, request).chunkCount
    }
    let family = checkpoint.family
    var count = try chunks(family.message(for: request.prompt), request.blend)
    let layout = family.conditioningLayout
    if request.readsUnconditional(readsScale: family.readsGuidanceScale) {
      count = try layout.length(count, chunks(request.negativePrompt, nil))
    }
    if let editing = request.editing, editing.method.readsSourcePrompt {
      count = try layout.length(count, chunks(family.message(for: editing.sourcePrompt), nil))
    }
    return count
  }

  /// Adds the encoders of one size.
  func add(
    _ source: sending SourceEncoder, table: sending TextTable?, size: PixelSize
  ) async throws {
    let conditioner = Conditioner(
      checkpoint, prompts: try await encoders(), size: size, table: table)
    sizes[size] = Entry(
      conditioner: conditioner, source: source,
      adapters: AdapterEncoder(checkpoint, size: size, provider: provider))
  }

  /// Makes what reads the images of adapters.
  func prepare(adapters: Set<Int>, size: PixelSize) async throws {
    try await sizes[size]?.adapters.prepare(for: adapters)
  }

  /// Whether images of a size can be encoded.
  func knows(_ size: PixelSize) -> Bool { sizes[size] != nil }

  /// Removes the encoders of all other sizes.
  func keep(only kept: Set<PixelSize>) { sizes = sizes.filter { kept.contains($0.key) } }

  /// The conditionings of images of a size.
  ///
  /// - Precondition: the size was added.
  func conditioning(of request: GenerationRequest, size: PixelSize) throws -> RequestConditioning {
    guard let entry = sizes[size] else { preconditionFailure("\(size) was not added") }
    return try entry.conditioner.conditioning(of: request)
  }

  /// An input at the size of images.
  ///
  /// - Precondition: the size was added.
  func fitted(_ image: PixelImage, size: PixelSize, fit: ImageFit) -> PixelImage {
    guard let entry = sizes[size] else { preconditionFailure("\(size) was not added") }
    return entry.source.fitted(image, fit: fit)
  }

  /// Encodes a region of an input, which the network is to run on.
  ///
  /// Its noise is the part of the whole image's at its place, so that a region that moves does not
  /// change what it shows.
  ///
  /// - Parameters:
  ///   - image: the input at the size of images.
  ///   - region: the region.
  ///   - lane: its lane.
  func flight(
    _ image: PixelImage, region: WorkRegion, lane: LaneKey, index: Int,
    with resolved: ResolvedSettings
  ) throws -> Flight {
    guard let entry = sizes[lane.size] else { preconditionFailure("\(lane.size) was not added") }
    let window = region.window
    var request = resolved.settings.request(for: image.cropped(to: window), index: index)
    let mask = resolved.mask.map { mask in
      FittedMask(
        mask.coverage.cropped(to: window), blur: 0, factor: checkpoint.autoencoder.factor)
    }
    request.source?.mask = mask?.coverage
    var start = try ImageStart(
      request, mask: mask, family: checkpoint.family, encoder: entry.source,
      sampleShape: entry.source.shape)
    let (size, factor) = (resolved.lane.size, checkpoint.autoencoder.factor)
    let whole: Shape = [entry.source.shape[0], size.height / factor, size.width / factor]
    start.firstNoise = start.noise.latents(shape: whole).cropped(to: region.latentWindow)
    let trajectory = Trajectory(
      id: index, plan: resolved.plan, request,
      try entry.conditioner.conditioning(of: request), start, shape: entry.source.shape)
    return Flight(lane: lane, trajectory: trajectory)
  }

  /// Resizes and encodes an input.
  func flight(
    _ image: PixelImage, index: Int, with resolved: ResolvedSettings
  ) throws -> (flight: Flight, input: PixelImage?) {
    let size = resolved.lane.size
    guard let entry = sizes[size] else { preconditionFailure("\(size) was not added") }
    let request = resolved.settings.request(for: image, index: index)
    var start = try ImageStart(
      request, mask: resolved.mask, family: checkpoint.family, encoder: entry.source,
      sampleShape: entry.source.shape)
    if !request.controls.isEmpty {
      start.adapters = try AdapterInputs(request, of: checkpoint, encoder: entry.adapters)
    }
    let trajectory = Trajectory(
      id: index, plan: resolved.plan, request, resolved.conditioning, start,
      shape: entry.source.shape)
    return (Flight(lane: resolved.lane, trajectory: trajectory), start.image)
  }
}
