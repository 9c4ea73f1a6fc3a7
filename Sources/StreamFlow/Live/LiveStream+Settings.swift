internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// A settings change whose engines are being made.
struct PendingChange {
  let number: Int
  let settings: LiveSettings
  let lane: LaneKey
}

/// A change of settings that was accepted.
public struct LiveChange: Sendable {
  /// Its number; frames that are made with it carry this number, and later changes a higher one.
  public let number: Int
  private let preparation: Task<Void, any Error>?

  init(number: Int, preparation: Task<Void, any Error>?) {
    self.number = number
    self.preparation = preparation
  }

  /// Whether engines must be made before it takes full effect.
  public var needsEngines: Bool { preparation != nil }

  /// Waits until it has taken effect, or a later change has replaced it.
  ///
  /// - Throws: the error of making its engines; the stream continues without the change.
  public func settled() async throws { try await preparation?.value }
}

extension LiveStream {
  /// The requested settings; a change that needs engines may not be in effect yet.
  public var settings: LiveSettings { requested }

  /// Makes the engines for the settings, so that the first input need not wait for them.
  public func prepare() async throws {
    if let preparation { return try await preparation.value }
    let start = ContinuousClock.now
    let task = Task {
      let (number, settings) = (latestNumber, requested)
      let lane = try await lane(of: settings)
      try await makeLane(lane, settings: settings, isFirst: true)
      try await install(settings, number: number, lane: lane)
      statistics.preparation = .now - start
      // Settings that changed in the meantime.
      if latestNumber > number { _ = try await apply(requested, number: latestNumber) }
    }
    preparation = task
    do { try await task.value } catch {
      preparation = nil
      throw error
    }
  }

  /// Changes settings, from the next admitted input on.
  ///
  /// Everything that can be checked is checked before anything changes. If the change needs new
  /// engines (a size, a prompt of more chunks, other adapters), the rest of it takes effect at once, and those
  /// parts when the engines are ready (``LiveChange/settled()``).
  ///
  /// - Throws: `requestInvalid` for invalid settings, `memoryInsufficient` for a size that the
  ///   machine has no memory for; nothing has changed in that case.
  @discardableResult
  public func update(
    _ change: @Sendable (inout LiveSettings) -> Void
  ) async throws -> LiveChange {
    var settings = requested
    change(&settings)
    _ = try checkpoint.plan(for: settings)
    let before = requested
    requested = settings
    latestNumber += 1
    let number = latestNumber
    // Before any engines are made, a change only affects which engines to make.
    guard current != nil else { return LiveChange(number: number, preparation: nil) }
    do { return try await apply(settings, number: number) } catch {
      if latestNumber == number { requested = before }
      throw error
    }
  }

  private func apply(_ settings: LiveSettings, number: Int) async throws -> LiveChange {
    let lane = try await lane(of: settings)
    guard !readyLanes.contains(lane) else {
      try await install(settings, number: number, lane: lane)
      return LiveChange(number: number, preparation: nil)
    }
    try checkMemory(lane)
    return try await begin(settings, number: number, lane: lane)
  }

  /// Applies what can take effect now, and makes the engines for the rest.
  private func begin(
    _ settings: LiveSettings, number: Int, lane: LaneKey
  ) async throws -> LiveChange {
    pending = PendingChange(number: number, settings: settings, lane: lane)
    if let current {
      var interim = settings
      (interim.width, interim.height) = (current.lane.size.width, current.lane.size.height)
      var interimLane = try await self.lane(of: interim)
      if !readyLanes.contains(interimLane) {
        // Adapters that need engines wait for them, and nothing else does.
        interim.request.controls = current.settings.request.controls
        interimLane = try await self.lane(of: interim)
      }
      if readyLanes.contains(interimLane), (try? checkpoint.plan(for: interim)) != nil {
        try await install(interim, number: number, lane: interimLane, isWhole: false)
      }
    }
    let task = Task {
      try await makeLane(lane, settings: settings, isFirst: false)
      guard let pending, pending.number == number else { return }
      self.pending = nil
      try await install(settings, number: number, lane: lane)
    }
    return LiveChange(number: number, preparation: task)
  }

  /// Applies settings from the next admitted input on, unless later ones are in effect already.
  private func install(
    _ settings: LiveSettings, number: Int, lane: LaneKey, isWhole: Bool = true
  ) async throws {
    pinnedLanes.append(lane)
    defer { pinnedLanes.remove(at: pinnedLanes.firstIndex(of: lane) ?? 0) }
    let plan = try checkpoint.plan(for: settings)
    let conditioning = try await encoding.conditioning(of: settings.request, size: lane.size)
    // A later change may have been made while this one was encoded.
    if let current, current.number > number { return }
    let resolved = ResolvedSettings(
      number: number, settings: settings, lane: lane, plan: plan, conditioning: conditioning,
      mask: settings.mask.map { mask in
        FittedMask(
          mask.stretched(width: lane.size.width, height: lane.size.height),
          blur: settings.maskBlur, factor: checkpoint.autoencoder.factor)
      })
    let before = current
    current = resolved
    if let place = readyLanes.firstIndex(of: lane) {
      readyLanes.append(readyLanes.remove(at: place))
    }
    if let pending, isWhole, pending.number < number { self.pending = nil }
    statistics.changeCount += isWhole && number > 0 ? 1 : 0
    // A change must be visible at once, on a still image too.
    if settings != before?.settings || settings.filter != gate?.settings {
      gate = settings.filter.map { FrameGate(settings: $0) }
      memory = nil
    }
    if settings.reuse.regionMargin == nil || lane != before?.lane { wantedRegions = [] }
  }

  private func lane(of settings: LiveSettings) async throws -> LaneKey {
    LaneKey(
      size: checkpoint.size(of: settings),
      structure: NetworkStructure(
        chunks: try await encoding.chunkCount(of: settings.request),
        adapters: try checkpoint.adapterIndices(of: settings.checkedRequest).sorted()))
  }

  // MARK: - Engines

  func checkMemory(_ lane: LaneKey) throws(ModelError) {
    try MemoryEstimate(
      checkpoint, rows: rowCapacity, width: lane.size.width, height: lane.size.height,
      tiling: options.decodeTiling
    ).check(available: MemoryEstimate.availableByteCount())
  }

  /// Makes the engines of a lane: one of the network first, so that the stream can start, the
  /// others after it.
  ///
  /// - Parameter isRegion: whether the lane is a region's, which is decoded with the whole image.
  func makeLane(
    _ lane: LaneKey, settings: LiveSettings, isFirst: Bool, isRegion: Bool = false
  ) async throws {
    while isRegion ? !hasNetwork(lane) : !readyLanes.contains(lane) {
      if let task = makingLanes[lane] {
        try await task.value
        // The task may have made a region's lane; the one that made it must remove it first.
        await Task.yield()
        continue
      }
      let task = Task {
        try await makeNewLane(lane, settings: settings, isFirst: isFirst, isRegion: isRegion)
      }
      makingLanes[lane] = task
      defer { makingLanes[lane] = nil }
      try await task.value
    }
  }

  /// Whether a lane has a network.
  func hasNetwork(_ lane: LaneKey) -> Bool {
    readyLanes.contains(lane) || readyRegions.contains(lane)
  }

  private func makeNewLane(
    _ lane: LaneKey, settings: LiveSettings, isFirst: Bool, isRegion: Bool
  ) async throws {
    await lettingGo?.value
    if isFirst { try checkMemory(lane) }
    let blueprint = try await builder.blueprint(lane.size)
    if !isRegion, await !decoding.knows(lane.size) {
      try await decoding.add(builder.decoder(lane.size, options: options), size: lane.size)
    }
    if await !encoding.knows(lane.size) {
      try await encoding.add(
        builder.source(lane.size), table: blueprint.textTable(), size: lane.size)
    }
    try await encoding.prepare(adapters: Set(lane.structure.adapters), size: lane.size)
    if hasNetwork(lane) {
      readyLanes.append(lane)
      return
    }
    let rows = try await rows(of: lane, blueprint, settings: settings, isFirst: isFirst)
    try await ticking.add(
      builder.network(blueprint, rows: rows, structure: lane.structure), to: lane)
    if isRegion { readyRegions.insert(lane) } else { readyLanes.append(lane) }
    let smaller = blueprint.smallerRowCounts(than: rows)
    let byteCount = checkpoint.liveByteCount(networkCount: smaller.count + 1)
    spareLaneCount = min(spareByteCount / byteCount, 12)
    let others = Task {
      for rows in smaller {
        try await ticking.add(
          builder.engine(blueprint, rows: rows, structure: lane.structure), to: lane)
      }
    }
    if isFirst { try await others.value }
  }

  /// The rows of a lane's first engine: as many as a tick has.
  private func rows(
    of lane: LaneKey, _ blueprint: NetworkBlueprint, settings: LiveSettings, isFirst: Bool
  ) async throws -> Int {
    if let capacity = options.rowCapacity {
      statistics.rowCapacity = capacity
      return blueprint.runsSingly ? 1 : capacity
    }
    let candidates = blueprint.rowCandidates(
      steadyRows: try settings.steadyRowCount(checkpoint.plan(for: settings)))
    // There is no measurement while the stream runs: the first choice applies to other sizes too.
    guard isFirst, candidates.count > 1 else {
      if isFirst {
        rowCapacity = 1
        statistics.rowCapacity = 1
      }
      return min(rowCapacity, blueprint.mostRows)
    }
    let calibration = try await builder.calibrate(
      blueprint, candidates: candidates, structure: lane.structure)
    rowCapacity = calibration.rows
    statistics.calibration = calibration
    statistics.rowCapacity = calibration.rows
    return calibration.rows
  }

  /// Releases idle lanes beyond the limit, least recently changed first.
  func letGoIfMany() {
    let idleRegions = readyRegions.subtracting(wantedRegions)
    guard readyLanes.count > spareLaneCount + 1 || !idleRegions.isEmpty, makingLanes.isEmpty,
      lettingGo == nil
    else { return }
    var kept = Set(pinnedLanes)
    kept.formUnion(records.values.map(\.lane))
    kept.formUnion(records.values.compactMap(\.region?.lane))
    kept.formUnion(group.map(\.lane))
    if let current { kept.insert(current.lane) }
    let spare = readyLanes.reversed().filter { !kept.contains($0) }
    kept.formUnion(spare.prefix(spareLaneCount))
    let released = idleRegions.subtracting(kept)
    guard !readyLanes.allSatisfy(kept.contains) || !released.isEmpty else { return }
    readyLanes.removeAll { !kept.contains($0) }
    readyRegions.subtract(released)
    let lanes = readyRegions.union(readyLanes)
    lettingGo = Task {
      await ticking.keep(only: lanes)
      await encoding.keep(only: Set(lanes.map(\.size)))
      await decoding.keep(only: Set(lanes.map(\.size)))
      lettingGo = nil
    }
  }
}

extension LiveSettings {
  /// The number of rows of a tick if one input is admitted each tick: the stages of the paper's
  /// pipeline.
  func steadyRowCount(_ plan: StepPlan) -> Int {
    min(plan.rowCount(guidance: request.guidance), RowChoice.maximum)
  }
}

extension LiveSettings {
  /// A request with a source of any size: what is checked and planned looks at its strength alone.
  var checkedRequest: GenerationRequest {
    request(for: PixelImage(width: 0, height: 0, pixels: []), index: 0)
  }
}

extension NetworkBlueprint {
  /// Whether engines of several row counts may exist at once.
  var keepsSeveral: Bool {
    checkpoint.networkWeights.byteCount < EngineCatalogue.largeByteCount
  }

  /// The row counts of smaller engines, for ticks with less in flight.
  func smallerRowCounts(than rows: Int) -> [Int] {
    keepsSeveral ? Array(sequence(first: 1) { $0 * 2 }.prefix { $0 < rows }) : []
  }

  /// The maximum number of rows of an engine.
  var mostRows: Int { runsSingly ? 1 : RowChoice.rows(latentPlaces: places) }

  /// The row counts to measure.
  ///
  /// 1, 2, 4, and the number of rows with one input per tick: more rows would only add delay. For a
  /// large network only the first and the last, since each engine takes long to make.
  func rowCandidates(steadyRows: Int) -> [Int] {
    let candidates = keepsSeveral ? [1, 2, 4, steadyRows] : [1, steadyRows]
    return Set(candidates.map { min($0, mostRows) }).sorted()
  }
}

extension Checkpoint {
  /// The size of images.
  func size(of settings: LiveSettings) -> PixelSize {
    PixelSize(
      width: settings.width ?? nativeSize.width, height: settings.height ?? nativeSize.height)
  }

  /// Checks settings, and compiles their plan.
  func plan(for settings: LiveSettings) throws(ModelError) -> StepPlan {
    let size = size(of: settings)
    try check(width: size.width, height: size.height)
    try settings.reuse.check(settings)
    let request = settings.checkedRequest
    guard request.references.isEmpty else {
      throw ModelError(
        code: .requestInvalid,
        message: "a live stream reads no reference images beside its frames, and its request has "
          + "\(request.references.count); leave them out", settings: [.references])
    }
    guard request.skipLayerGuidance == nil else {
      throw ModelError(
        code: .requestInvalid,
        message: "a live stream has no skip-layer guidance; leave it out", settings: [.skipLayers])
    }
    try check(request)
    return try plan(for: request, width: size.width, height: size.height)
  }
}
