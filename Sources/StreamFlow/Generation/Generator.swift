internal import FlowCore
public import FlowEngine
internal import FlowGraph
public import FlowModels
internal import FlowText
internal import Foundation

/// Generates images: one checkpoint, one size, one stream batch that all requests share.
///
/// Images of any prompts, seeds, step counts, schedules and guidance are in flight together, and
/// each is identical to the image that it would be alone. Clients share the ticks fairly, so a
/// small request does not wait for a large one. The generator runs on the thread of its device
/// (`EngineStore.queue`), because inference blocks; ticks run when a client asks for the next
/// image.
public actor Generator: EventSource {
  /// The model.
  public nonisolated let checkpoint: Checkpoint
  /// The width of images in pixels.
  public nonisolated let width: Int
  /// The height of images in pixels.
  public nonisolated let height: Int
  /// The maximum number of batch rows of a tick.
  public nonisolated let rowCapacity: Int
  /// The engines of its device.
  public nonisolated var engines: EngineStore { provider.store }
  /// How many of the text encoders' last layers are skipped (clip skip).
  public nonisolated var skippedTextLayers: Int { options.skippedTextLayers }

  nonisolated let options: GeneratorOptions
  nonisolated let provider: EngineProvider
  var stages: Stages?
  /// The structures with references whose memory was checked.
  var checkedStructures: Set<NetworkStructure> = []
  private var preparation: Task<Void, any Error>?
  /// The number of waiting tasks, and how many of them were cancelled.
  private var (waiterCount, abandonedCount) = (0, 0)
  /// Channels, height and width of one sample.
  let sampleShape: Shape
  var batch: StreamBatch<Conditioning>
  var pending = AdmissionQueue<Admission>()
  var inFlight: [Int: Admission] = [:]
  /// Trajectories in flight that the last tick left out.
  var waiting: Set<Int> = []
  var boxes = EventBoxes()
  /// Whether a task is running the ticks.
  private var isTicking = false
  var nextID = 0
  var nextStream = 0
  var measured = GeneratorStatistics()

  /// A requested image.
  struct Admission {
    let stream: Int
    let index: Int
    let request: GenerationRequest
    let plan: StepPlan
    /// The evaluations after which a preview is shown.
    let previewStages: [Int]
    /// Whether each of its steps is an event.
    let reportsSteps: Bool
    /// The source image that the result is composited over, if a part of it stays.
    var overlay: SourceOverlay?
    /// The structure of its rows, known when it is admitted.
    var structure = NetworkStructure()
    /// Where another device left it, if one did.
    var resumed: Trajectory<Conditioning>?

    /// The maximum number of batch rows of a step.
    var peakRowCount: Int { plan.peakRowCount(guidance: request.guidance) }
  }

  /// The stages of generation.
  final class Stages {
    let conditioner: Conditioner
    var network: VelocityNetwork
    let decoder: LatentDecoder
    /// Made with the first image that starts from another.
    var pictures: SourceEncoder?
    /// The error of making it.
    var imageFailure: (any Error)?
    /// What reads the images of adapters.
    let adapters: AdapterEncoder
    /// Why the programs of adapters could not be made.
    var adapterFailure: (any Error)?
    /// What encodes reference images.
    let references: ReferenceEncoder

    init(
      _ conditioner: Conditioner, _ network: VelocityNetwork, _ decoder: LatentDecoder,
      _ adapters: AdapterEncoder, _ references: ReferenceEncoder
    ) {
      self.adapters = adapters
      self.references = references
      self.conditioner = conditioner
      self.network = network
      self.decoder = decoder
    }
  }

  /// The thread of its device.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe provider.store.queue.asUnownedSerialExecutor()
  }

  /// Creates a generator; engines are made by ``prepare()`` or with the first image.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: sizes, rows, decoding.
  ///   - engines: the engines of the device; users of the same engines take turns.
  /// - Throws: `requestInvalid` for a size that the model cannot make.
  public init(
    checkpoint: Checkpoint, options: GeneratorOptions = GeneratorOptions(),
    engines: EngineStore = .standard
  ) throws(ModelError) {
    try self.init(checkpoint: checkpoint, options: options, provider: EngineProvider(engines))
  }

  /// - Parameter provider: where programs come from.
  init(
    checkpoint: Checkpoint, options: GeneratorOptions, provider: EngineProvider
  ) throws(ModelError) {
    let native = checkpoint.nativeSize
    width = options.width ?? native.width
    height = options.height ?? native.height
    try checkpoint.check(width: width, height: height)
    rowCapacity = Self.rowCapacity(of: checkpoint, options)
    guard (1...RowChoice.maximum).contains(rowCapacity) else {
      throw ModelError(
        code: .requestInvalid,
        message: "a tick takes 1 to \(RowChoice.maximum) rows, got \(rowCapacity)",
        settings: [.rowCapacity])
    }
    for count in [options.engineRowCapacity, options.decodeRowCapacity].compactMap({ $0 }) {
      guard (1...RowChoice.maximum).contains(count) else {
        throw ModelError(
          code: .requestInvalid,
          message: "an engine takes 1 to \(RowChoice.maximum) rows, got \(count)")
      }
    }
    try checkpoint.check(skippedTextLayers: options.skippedTextLayers)
    if case .pixels(let side) = options.decodeTiling, side < DecodeTiling.smallestTile {
      throw ModelError(
        code: .requestInvalid,
        message: "a tile is \(DecodeTiling.smallestTile) pixels a side or more, got \(side)",
        settings: [.tileSize])
    }
    self.checkpoint = checkpoint
    self.options = options
    self.provider = provider
    sampleShape = [
      checkpoint.family.latentSpace.channels, height / checkpoint.autoencoder.factor,
      width / checkpoint.autoencoder.factor,
    ]
    // Twice a tick's rows: some trajectories may wait while a tick advances others.
    batch = StreamBatch(rowCapacity: 2 * rowCapacity)
  }

  /// The maximum number of rows of a tick for a generator with these options.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: sizes, rows, decoding.
  public static func rowCapacity(of checkpoint: Checkpoint, _ options: GeneratorOptions) -> Int {
    let (native, factor) = (checkpoint.nativeSize, checkpoint.autoencoder.factor)
    let size = (options.width ?? native.width, options.height ?? native.height)
    return options.rowCapacity
      ?? RowChoice.rows(
        latentPlaces: RowChoice.places(
          height: size.1 / factor, width: size.0 / factor, factor: factor))
  }

  /// Makes the engines, so that the first image need not wait for them.
  ///
  /// - Throws: `memoryInsufficient`, an error of a graph or an engine; `CancellationError` if the
  ///   task is cancelled: compilations that have not started are skipped, unless another task waits
  ///   for them.
  public func prepare() async throws {
    while stages == nil {
      // Concurrent callers wait for the same task.
      let task = preparation ?? Task { try await makeEngines() }
      preparation = task
      waiterCount += 1
      defer {
        waiterCount -= 1
        if waiterCount == 0 { (preparation, abandonedCount) = (nil, 0) }
      }
      do {
        try await withTaskCancellationHandler {
          try await task.value
        } onCancel: {
          Task { await self.abandonPreparation() }
        }
      } catch is CancellationError where !Task.isCancelled {
        // Another caller cancelled it just before this one came.
        if preparation == task { preparation = nil }
      }
    }
  }

  private func abandonPreparation() {
    abandonedCount += 1
    if abandonedCount >= waiterCount { preparation?.cancel() }
  }

  private func makeEngines() async throws {
    let factor = checkpoint.autoencoder.factor
    let need = MemoryEstimate(
      checkpoint, rows: rowCapacity, width: width, height: height, tiling: options.decodeTiling,
      referencePixels: pending.elements.reduce(0) { max($0, $1.structure.referencePixelCount) })
    let available = MemoryEstimate.availableByteCount()
    try need.check(available: available)
    let start = ContinuousClock.now
    let blueprint = try NetworkBlueprint(
      checkpoint, height: height / factor, width: width / factor, provider: provider)
    let conditioner = Conditioner(
      checkpoint,
      prompts: try await .make(
        checkpoint, skippedLayers: options.skippedTextLayers,
        isReleased: options.textResidency.isReleased(
          checkpoint, besideNetworkOf: need.peakByteCount, available: available),
        provider: provider.placed(.text)),
      size: PixelSize(width: width, height: height), table: try await blueprint.textTable())
    let network = VelocityNetwork(
      blueprint, times: try await blueprint.timeTable(), rowCapacity: rowCapacity,
      engineRowCapacity: options.engineRowCapacity)
    let decoder = LatentDecoder(
      checkpoint, height: height / factor, width: width / factor,
      rowCapacity: options.decodeRowCapacity ?? rowCapacity, tiling: options.decodeTiling,
      provider: provider.placed(.decoder))
    let needed = pending.elements.reduce(0) {
      $0 + $1.plan.rowCount(atStage: 0, guidance: $1.request.guidance)
    }
    let rows = needed == 0 ? rowCapacity : min(needed, rowCapacity)
    let upcoming = pending.elements.map(\.request)
    try await conditioner.prepareTexts(for: upcoming)
    // A failure to encode is reported when the request is admitted.
    let chunks =
      (try? conditioner.chunkCount(ofFirst: rows, of: upcoming.filter(conditioner.isReady(for:))))
      ?? 1
    var structure = try upcoming.first.map(checkpoint.structure) ?? NetworkStructure()
    structure.chunks = chunks
    try await network.prepare(rowCount: rows, structure: structure)
    try await decoder.prepare(for: pending.count)
    if options.preparesAllRows, network.catalogue.keepsSeveral {
      for count in sequence(first: 1, next: { $0 * 2 }).prefix(while: { $0 < rowCapacity }) {
        try await network.prepareExactly(rowCount: count, structure: structure)
        try await decoder.prepareExactly(for: count)
      }
    }
    stages = Stages(
      conditioner, network, decoder,
      AdapterEncoder(
        checkpoint, size: PixelSize(width: width, height: height), provider: provider),
      ReferenceEncoder(checkpoint, provider: provider))
    measured.preparation = .now - start
  }

  /// Images of some requests, as they finish.
  ///
  /// - Parameters:
  ///   - requests: the requests.
  ///   - client: an identifier of the client; clients take turns.
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan.
  public func images(
    for requests: [GenerationRequest], client: String = ""
  ) throws -> ImageStream {
    ImageStream(try events(for: requests, client: client))
  }

  /// Events of some requests, as they happen.
  ///
  /// - Parameters:
  ///   - requests: the requests.
  ///   - client: an identifier of the client; clients take turns.
  ///   - previewCount: the number of previews of each image, spread over its steps; at most the
  ///     number of steps before the last.
  ///   - reportsSteps: whether each step of an image is an event.
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan, or for an
  ///   image of another size.
  public func events(
    for requests: [GenerationRequest], client: String = "", previewCount: Int = 0,
    reportsSteps: Bool = false
  ) throws -> GenerationEvents {
    let stream = nextStream
    var admissions: [Admission] = []
    for (index, request) in requests.enumerated() {
      // Requests of one kind come in sequence and share one table, however many they are.
      let plan =
        if let last = admissions.last, last.request.hasPlan(of: request) { last.plan } else {
          try checkpoint.plan(for: request, width: width, height: height)
        }
      try checkpoint.check(request)
      try check(request, plan)
      admissions.append(
        Admission(
          stream: stream, index: index, request: request, plan: plan,
          previewStages: PreviewStages.stages(count: previewCount, of: plan.rows.count),
          reportsSteps: reportsSteps, structure: try checkpoint.structure(of: request)))
    }
    nextStream += 1
    stages?.imageFailure = nil
    stages?.adapterFailure = nil
    pending.add(admissions, stream: stream, client: client)
    boxes.open(stream, count: requests.count)
    return GenerationEvents(source: self, stream: stream, count: requests.count)
  }

  /// Whether the engines are made.
  var isPrepared: Bool { stages != nil }

  /// The number of images that wait for admission.
  public var pendingCount: Int { pending.count }

  /// The images in flight, oldest first.
  public var flights: [GeneratorFlight] {
    batch.inFlight.compactMap { trajectory in
      guard let admission = inFlight[trajectory.id] else { return nil }
      return GeneratorFlight(
        stream: admission.stream, index: admission.index, stage: trajectory.stage,
        stageCount: trajectory.plan.rows.count, advances: !waiting.contains(trajectory.id))
    }
  }

  /// The measurements so far.
  public var statistics: GeneratorStatistics {
    var statistics = measured
    statistics.tickCount = batch.tickCount
    statistics.engineTime = stages?.network.catalogue.runTime ?? .zero
    statistics.engines = provider.log.made
    return statistics
  }

  /// The truncated end of a prompt that exceeds the text encoder, if any.
  public nonisolated func cut(of prompt: String, syntax: PromptSyntax = .weighted) -> String? {
    let text = checkpoint.encodedText(of: checkpoint.family.message(for: prompt), syntax: syntax)
    return checkpoint.textEncoders.lazy.compactMap { $0.chunks(of: text, syntax: syntax).cut }.first
  }

  /// The next event of a stream's images; ticks run until there is one.
  ///
  /// One of the waiting tasks runs the ticks, and each is resumed as soon as there is an event of
  /// its images. Between two ticks other calls run: requests are admitted and cancelled.
  func nextEvent(of stream: Int) async throws -> GenerationEvent? {
    // A task that has its event leaves the ticks to the next one.
    defer { if !isTicking { boxes.wakeOne() } }
    while boxes.isOpen(stream) {
      if let event = boxes.take(from: stream) { return event }
      try Task.checkCancellation()
      guard !isTicking else {
        await waitForEvent(of: stream)
        continue
      }
      isTicking = true
      defer { isTicking = false }
      try await tick()
      boxes.wakeReady()
      await Task.yield()
    }
    // Nobody waits for an image: the time to persist what took long to compile.
    if boxes.count == 0 { await provider.persist() }
    return nil
  }

  private func waitForEvent(of stream: Int) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        guard !Task.isCancelled else { return continuation.resume() }
        boxes.wait(for: stream, continuation)
      }
    } onCancel: {
      Task { await self.wake(stream) }
    }
  }

  private func wake(_ stream: Int) { boxes.wake(stream) }

  /// Cancels a stream: its pending images and those in flight.
  func cancel(_ stream: Int) {
    pending.remove(stream: stream)
    boxes.close(stream)
    for (id, admission) in inFlight where admission.stream == stream {
      batch.remove(id: id)
      inFlight[id] = nil
      waiting.remove(id)
    }
  }
}
