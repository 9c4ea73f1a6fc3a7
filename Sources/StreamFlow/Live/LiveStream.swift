public import FlowCore
public import FlowEngine
public import FlowModels

/// Transforms a stream of images: from a camera, a screen or a video.
///
/// Inputs are offered (``offer(_:timestamp:)``: the latest wins; or ``submit(_:timestamp:)``, which
/// waits), and results are taken as ``frames``, in the order of their inputs. In between several
/// are in flight, each at its own stage, and every tick advances all of them; each result is
/// identical to the image that it would be alone. All settings can be changed at any time
/// (``update(_:)``): inputs that are admitted from then on use the new settings, those in flight
/// finish with theirs. Settings that need new engines, such as another size or a much longer
/// prompt, are prepared while the stream continues with the old ones.
public actor LiveStream {
  /// The model.
  public nonisolated let checkpoint: Checkpoint
  /// The engines of its device.
  public nonisolated var store: EngineStore { provider.store }
  /// The frames, in the order of their inputs.
  public nonisolated var frames: LiveFrames { LiveFrames(stream: self) }

  nonisolated let options: LiveOptions
  nonisolated let provider: EngineProvider
  let encoding: EncodeStage
  let ticking: TickStage
  let decoding: DecodeStage
  let builder: EngineBuilder

  // Settings, in LiveStream+Settings.
  var requested: LiveSettings
  var latestNumber = 0
  var current: ResolvedSettings?
  var pending: PendingChange?
  /// The lanes that have engines, the most recently changed to last.
  var readyLanes: [LaneKey] = []
  /// The lanes of regions that have engines, without a decoder.
  var readyRegions: Set<LaneKey> = []
  /// The lanes of regions of the current settings that engines were asked for.
  var wantedRegions: Set<LaneKey> = []
  /// The tasks that make them.
  var regionTasks: [LaneKey: Task<Void, any Error>] = [:]
  /// The lanes whose engines are being made.
  var makingLanes: [LaneKey: Task<Void, any Error>] = [:]
  /// The lanes that a settings change is about to use.
  var pinnedLanes: [LaneKey] = []
  var lettingGo: Task<Void, Never>?
  var preparation: Task<Void, any Error>?
  var rowCapacity: Int
  let spareByteCount: Int
  /// The number of idle lanes that are kept: changing back to one takes no time.
  var spareLaneCount = 0

  // The queues, in LiveStream+Flow.
  var flow: LiveFlow?
  var tasks: [Task<Void, Never>] = []
  var gate: FrameGate?
  /// The inputs before, if something of them is reused; nil before the first.
  var memory: InputMemory?
  /// The group that waits for admission.
  var group: [Flight] = []
  var lastImage: PixelImage?
  /// The last image before it was laid over its input.
  var lastBare: PixelImage?
  /// Latents that wait for those of earlier images.
  var waitingArrivals: [Arrival] = []
  var lastTick: ContinuousClock.Instant?
  var records: [Int: LiveRecord] = [:]
  var droppedIndices: Set<Int> = []
  var nextInput = 0
  var nextOutput = 0
  var outputWaiters: [CheckedContinuation<Void, Never>] = []
  /// The callers that wait for a decision about an input.
  var deciding: [Int: AsyncStream<LiveDecision>.Continuation] = [:]
  var failure: (any Error)?
  /// Whether everything was cancelled.
  var isClosed = false

  /// The width and height in pixels of the requested images.
  public var imageSize: (width: Int, height: Int) {
    let size = checkpoint.size(of: requested)
    return (size.width, size.height)
  }

  /// The number of inputs that were taken up and have no result yet.
  public var inFlightCount: Int { records.values.count { $0.result == nil } }

  /// The counts and measurements so far.
  public internal(set) var statistics = LiveStatistics()

  /// Creates a stream; engines are made by ``prepare()`` or with the first input.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - settings: the initial settings.
  ///   - options: rows, groups, decoding.
  ///   - engines: the engines of the device; users of the same engines take turns.
  /// - Throws: `requestInvalid` for invalid settings.
  public init(
    checkpoint: Checkpoint, settings: LiveSettings, options: LiveOptions = LiveOptions(),
    engines: EngineStore = .standard
  ) throws(ModelError) {
    try options.check()
    try checkpoint.check(skippedTextLayers: options.skippedTextLayers)
    _ = try checkpoint.plan(for: settings)
    self.checkpoint = checkpoint
    self.options = options
    provider = EngineProvider(engines)
    let queues = ["encode", "tick", "decode"].map { name in
      options.overlaps ? DeviceQueue(label: "streamflow.live.\(name)") : engines.queue
    }
    encoding = EncodeStage(
      checkpoint, skippedLayers: options.skippedTextLayers, provider: provider,
      executor: queues[0])
    ticking = TickStage(executor: queues[1])
    decoding = DecodeStage(factor: checkpoint.autoencoder.factor, executor: queues[2])
    builder = EngineBuilder(checkpoint, provider: provider)
    requested = settings
    rowCapacity = options.rowCapacity ?? 1
    spareByteCount =
      options.spareByteCount ?? SystemMemory.availableByteCount.map { $0 / 8 } ?? 1 << 30
  }

  deinit {
    guard let flow else { return }
    Task { await flow.close() }
  }

  // MARK: - Input

  /// Offers an input; an input that still waits for its turn is dropped for it.
  ///
  /// Never waits for images.
  ///
  /// - Parameters:
  ///   - image: the input, of any size.
  ///   - timestamp: the caller's timestamp, which its frame carries.
  public func offer(_ image: PixelImage, timestamp: Duration) async -> LiveOffer {
    let flow = currentFlow()
    let index = takeIndex()
    let input = LiveInput(index: index, image: image, timestamp: timestamp, offered: .now)
    flow.expect(1)
    switch await flow.inputs.offer(.picture(input), mayDrop: \.isImageFile) {
    case .ended:
      flow.expect(-1)
      await drop(index)
      return .ended
    case .taken(.picture(let dropped)):
      flow.expect(-1)
      await drop(dropped.index)
      return .replaced(index: index, droppedIndex: dropped.index)
    case .taken: return .accepted(index: index)
    }
  }

  /// Offers an input, and waits for the decision whether an image is made of it.
  ///
  /// Does not wait for the image.
  ///
  /// - Parameters:
  ///   - image: the input, of any size.
  ///   - timestamp: the caller's timestamp, which its frame carries.
  /// - Returns: the index of the input, and the decision.
  public func decision(
    on image: PixelImage, timestamp: Duration
  ) async -> (index: Int, decision: LiveDecision) {
    let index = nextInput
    let (decisions, asking) = AsyncStream.makeStream(of: LiveDecision.self)
    deciding[index] = asking
    if await offer(image, timestamp: timestamp) == .ended { decide(.ended, on: index) }
    for await decision in decisions { return (index, decision) }
    return (index, .ended)
  }

  /// Reports the decision about an input to its caller.
  func decide(_ decision: LiveDecision, on index: Int) {
    guard let asking = deciding.removeValue(forKey: index) else { return }
    asking.yield(decision)
    asking.finish()
  }

  /// Queues an input, and waits for room if inputs come faster than images are made.
  ///
  /// - Returns: the index of the input, or nil if the stream has ended.
  @discardableResult
  public func submit(_ image: PixelImage, timestamp: Duration) async -> Int? {
    let flow = currentFlow()
    let index = takeIndex()
    let input = LiveInput(index: index, image: image, timestamp: timestamp, offered: .now)
    flow.expect(1)
    guard await flow.inputs.put(.picture(input)) else {
      flow.expect(-1)
      await drop(index)
      return nil
    }
    return index
  }

  private func takeIndex() -> Int {
    defer { nextInput += 1 }
    statistics.offeredCount += 1
    return nextInput
  }

  // MARK: - Turns

  /// Stops admission; images in flight are finished and delivered.
  public func pause() async {
    let flow = currentFlow()
    await flow.inputs.hold(true)
    // A task that waits for more flights must continue without.
    _ = await flow.flights.put([])
  }

  /// Continues after a pause.
  public func resume() async { await currentFlow().inputs.hold(false) }

  /// Waits until everything that was queued has been delivered, including a group that is not full.
  ///
  /// The frames must be consumed meanwhile, and the stream must not be paused.
  public func drain() async {
    guard let flow else { return }
    let target = nextInput
    flow.expect(1)
    if await !flow.inputs.put(.flush) { flow.expect(-1) }
    while nextOutput < target, failure == nil, self.flow === flow, !isClosed {
      await waitForOutput()
    }
  }

  /// Accepts no more inputs; the frames end when all have been delivered.
  public func finish() async {
    await currentFlow().inputs.finish()
  }

  /// Cancels everything that waits or is in flight; the frames end at once.
  public func cancel() async {
    guard let flow else { return }
    await end(flow)
  }

  /// Cancels everything that waits or is in flight, and starts again with the existing engines:
  /// inputs are counted from 0, and the filter is reset.
  public func restart() async {
    if let flow { await end(flow) }
    for task in tasks { await task.value }
    (flow, tasks, failure, isClosed) = (nil, [], nil, false)
    (gate, memory) = (nil, nil)
    (lastImage, lastBare) = (nil, nil)
    await decoding.clear()
    (nextInput, nextOutput) = (0, 0)
    records = [:]
    droppedIndices = []
    await ticking.clear()
  }

  // MARK: - Output

  /// The next frame; nil after the last.
  func nextFrame() async throws -> LiveFrame? {
    if let frame = await currentFlow().outputs.next() { return frame }
    try Task.checkCancellation()
    if let failure { throw failure }
    return nil
  }

  /// How the current programs were made.
  public nonisolated var engines: [EngineReport] { provider.log.present }
}

extension LiveOptions {
  fileprivate func check() throws(ModelError) {
    func refused(_ message: String, _ settings: ModelError.Setting...) -> ModelError {
      ModelError(code: .requestInvalid, message: message, settings: settings)
    }
    for (name, setting, value) in [
      ("frames that are admitted together", [.frameBuffer], frameBuffer),
      ("images that are decoded together", [.decodeBatch], decodeBatch),
      ("finished frames that wait", [], outputCapacity),
    ] as [(String, [ModelError.Setting], Int)] where !(1...64).contains(value) {
      throw ModelError(
        code: .requestInvalid, message: "the number of \(name) is 1 to 64, got \(value)",
        settings: setting)
    }
    if let spareByteCount, spareByteCount < 0 {
      throw refused("the memory of idle engines is 0 bytes or more, got \(spareByteCount)")
    }
    if let rowCapacity, !(1...RowChoice.maximum).contains(rowCapacity) {
      throw refused(
        "a tick takes 1 to \(RowChoice.maximum) rows, got \(rowCapacity)", .rowCapacity)
    }
  }
}
