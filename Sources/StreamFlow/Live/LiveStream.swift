public import FlowCore
public import FlowEngine
public import FlowModels

/// A stream of images made of a stream of images: a camera's, a screen's, a film's.
///
/// Inputs are offered at one side (``offer(_:timestamp:)``: the latest wins; or
/// ``submit(_:timestamp:)``, which waits), and taken as frames at the other (``frames``), in the
/// order of their inputs. In between several are in flight, each at a stage of its own, and every
/// tick advances all of them; each comes to the image it would come to alone. Everything can be
/// changed at any time (``update(_:)``): inputs that are admitted from then on are made with the
/// new settings, those in flight end under theirs. What needs engines that are not there, another
/// size or a much longer prompt, is prepared beside the stream, which goes on with what it has.
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
  /// The lanes that have engines, those that were changed to last at the end.
  var readyLanes: [LaneKey] = []
  /// Those being made.
  var makingLanes: [LaneKey: Task<Void, any Error>] = [:]
  /// Those that a change of settings is about to go to.
  var pinnedLanes: [LaneKey] = []
  var lettingGo: Task<Void, Never>?
  var preparation: Task<Void, any Error>?
  var rowCapacity: Int
  let spareByteCount: Int
  /// The lanes that stay although nothing needs them: coming back to one takes no time then.
  var spareLaneCount = 0

  // The way of inputs, in LiveStream+Flow.
  var flow: LiveFlow?
  var tasks: [Task<Void, Never>] = []
  var gate: FrameGate?
  /// What waits to be admitted together.
  var group: [Flight] = []
  var lastImage: PixelImage?
  var lastTick: ContinuousClock.Instant?
  var records: [Int: LiveRecord] = [:]
  var droppedIndices: Set<Int> = []
  var nextInput = 0
  var nextOutput = 0
  var outputWaiters: [CheckedContinuation<Void, Never>] = []
  /// Who asks what becomes of an input, until it is told.
  var deciding: [Int: AsyncStream<LiveDecision>.Continuation] = [:]
  var failure: (any Error)?
  /// Whether everything was given up.
  var isClosed = false

  /// The width and height in pixels of the images that are asked for.
  public var imageSize: (width: Int, height: Int) {
    let size = checkpoint.size(of: requested)
    return (size.width, size.height)
  }

  /// The inputs that were taken up and are neither images yet nor skipped nor failed.
  public var inFlightCount: Int { records.values.count { $0.result == nil } }

  /// What was counted and measured so far.
  public internal(set) var statistics = LiveStatistics()

  /// Sets a stream up; engines are made by ``prepare()`` or with the first input.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - settings: what images are made with, to begin with.
  ///   - options: rows, groups, decoding.
  ///   - engines: the engines of the device; those who share them run in turn.
  /// - Throws: `requestInvalid` for settings that cannot be met.
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
    decoding = DecodeStage(executor: queues[2])
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

  /// Offers an input; one that still waits for its turn is dropped for it.
  ///
  /// Never waits for images to be made.
  ///
  /// - Parameters:
  ///   - image: the input, of any size.
  ///   - timestamp: a time of the caller's, which its frame carries.
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

  /// Offers an input, and waits until it is known whether an image is made of it.
  ///
  /// Does not wait for the image.
  ///
  /// - Parameters:
  ///   - image: the input, of any size.
  ///   - timestamp: a time of the caller's, which its frame carries.
  /// - Returns: the number of the input, and what is done with it.
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

  /// Tells who asks what becomes of an input.
  func decide(_ decision: LiveDecision, on index: Int) {
    guard let asking = deciding.removeValue(forKey: index) else { return }
    asking.yield(decision)
    asking.finish()
  }

  /// Puts an input in, and waits for room where inputs come faster than images are made.
  ///
  /// - Returns: the number of the input, or nothing where the stream has ended.
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

  /// Admits nothing from now on; what is in flight comes out.
  public func pause() async {
    let flow = currentFlow()
    await flow.inputs.hold(true)
    // Who waits for more to fly is to go on without.
    _ = await flow.flights.put([])
  }

  /// Goes on after a pause.
  public func resume() async { await currentFlow().inputs.hold(false) }

  /// Waits until everything that was put in has come out, a group that is not full included.
  ///
  /// Someone must take the frames meanwhile, and the stream must not be paused.
  public func drain() async {
    guard let flow else { return }
    let target = nextInput
    flow.expect(1)
    if await !flow.inputs.put(.flush) { flow.expect(-1) }
    while nextOutput < target, failure == nil, self.flow === flow, !isClosed {
      await waitForOutput()
    }
  }

  /// Takes no more inputs; the frames end when all have come out.
  public func finish() async {
    await currentFlow().inputs.finish()
  }

  /// Gives up everything that waits and flies; the frames end at once.
  public func cancel() async {
    guard let flow else { return }
    await end(flow)
  }

  /// Gives up what waits and flies, and begins anew with the engines that are there: inputs are
  /// counted from 0, and the filter has seen nothing.
  public func restart() async {
    if let flow { await end(flow) }
    for task in tasks { await task.value }
    (flow, tasks, failure, isClosed) = (nil, [], nil, false)
    gate = nil
    lastImage = nil
    (nextInput, nextOutput) = (0, 0)
    records = [:]
    droppedIndices = []
    await ticking.clear()
  }

  // MARK: - Output

  /// The next frame; nothing after the last.
  func nextFrame() async throws -> LiveFrame? {
    if let frame = await currentFlow().outputs.next() { return frame }
    try Task.checkCancellation()
    if let failure { throw failure }
    return nil
  }

  /// How the programs that are there came to be.
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
      throw refused("engines that nothing needs may take 0 bytes or more, got \(spareByteCount)")
    }
    if let rowCapacity, !(1...RowChoice.maximum).contains(rowCapacity) {
      throw refused(
        "a tick takes 1 to \(RowChoice.maximum) rows, got \(rowCapacity)", .rowCapacity)
    }
  }
}
