internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// The stages of an input: taken up, filtered and encoded; in flight; decoded; delivered in order.
extension LiveStream {
  /// The queues, with the tasks that serve them.
  func currentFlow() -> LiveFlow {
    if let flow { return flow }
    let flow = LiveFlow(options)
    self.flow = flow
    let (ticking, decoding, batch) = (ticking, decoding, options.decodeBatch)
    tasks = [
      Task { [weak self] in
        await Self.feed(flow) { await self?.take($0, flow: flow) }
        guard let last = await self?.takeGroup() else { return await flow.flights.finish() }
        _ = await flow.flights.put(last)
        await flow.flights.finish()
      },
      Task { [weak self] in
        do {
          try await Self.fly(
            flow, ticking, budget: { await self?.budget },
            note: { await self?.note($0, isFirst: $1, flow: flow) })
        } catch { await self?.fail(error, flow: flow) }
        await flow.arrivals.finish()
      },
      Task { [weak self] in
        while true {
          let batch = await flow.arrivals.nextBatch(limit: batch)
          // What still waits is complete once nothing more arrives.
          guard let jobs = await self?.takeJobs(with: batch, isLast: batch.isEmpty) else { break }
          if !jobs.isEmpty {
            let pictures = await Self.pictures(of: jobs, decoding)
            await self?.settle(jobs.map(\.arrival), pictures: pictures, flow: flow)
          }
          if batch.isEmpty { break }
        }
        await self?.endOfArrivals(flow)
      },
      Task { [weak self] in
        while await flow.settled.next() != nil {
          while let frame = await self?.nextSettled(flow) {
            guard await flow.outputs.put(frame) else { return }
          }
        }
        while let frame = await self?.nextSettled(flow) {
          guard await flow.outputs.put(frame) else { return }
        }
        await flow.outputs.finish()
      },
    ]
    return flow
  }

  // MARK: - Input

  /// Passes inputs on, as long as there is room.
  private static func feed(
    _ flow: LiveFlow, take: (LiveInputItem) async -> [Flight]??
  ) async {
    while await flow.places.put(()) {
      guard let item = await flow.inputs.next(), let group = await take(item) else { return }
      // Counted first: a task that has taken the group already must not wait for it again.
      flow.expect(-1)
      // Even if it is empty: a waiting task must be resumed.
      guard await flow.flights.put(group ?? []) else { return }
    }
  }

  /// Takes an input up.
  ///
  /// - Returns: a group to be admitted, if this input filled it; nil if the stream cannot continue.
  private func take(_ item: LiveInputItem, flow: LiveFlow) async -> [Flight]?? {
    guard case .picture(let input) = item else {
      _ = await flow.places.takeNow()
      return .some(takeGroup())
    }
    do { try await prepare() } catch {
      await fail(error, flow: flow)
      return nil
    }
    guard let resolved = current, self.flow === flow else { return nil }
    var record = LiveRecord(
      input: input, settings: resolved.settings, settingsNumber: resolved.number,
      lane: resolved.lane, since: input.offered)
    record.count(\.waiting)
    // Its lane is kept as long as the record exists.
    records[input.index] = record
    if gate?.admits(input.image) == false {
      statistics.skippedCount += 1
      decide(.skipped, on: input.index)
      await settle(record, as: .skipped, flow: flow)
      return .some(nil)
    }
    do {
      let flight = try await flight(of: &record, with: resolved)
      guard self.flow === flow else { return nil }
      record.count(\.encoding)
      records[input.index] = record
      guard let flight else {
        await settle(record, as: resolved.mask == nil ? .skipped : .reused, flow: flow)
        return .some(nil)
      }
      group.append(flight)
    } catch {
      decide(.admitted, on: input.index)
      await settle(record, as: .failed(error), flow: flow)
    }
    return .some(group.count >= options.frameBuffer ? takeGroup() : nil)
  }

  /// The group that waits for admission.
  private func takeGroup() -> [Flight]? {
    defer { group = [] }
    return group.isEmpty ? nil : group
  }

  // MARK: - In flight

  /// Runs ticks as long as anything is in flight, and admits groups as there is room.
  private static func fly(
    _ flow: LiveFlow, _ ticking: TickStage, budget: () async -> Int?,
    note: (TickStage.Outcome, Bool) async -> Void
  ) async throws {
    var rowCount = 0
    var waiting: [Flight] = []
    var last: [Flight] = []
    while let budget = await budget() {
      let isFirst = rowCount == 0
      var admitted: [Flight] = []
      while true {
        if waiting.isEmpty {
          let isIdle = rowCount == 0 && admitted.isEmpty
          guard
            isIdle || hasRoom(for: last, beside: admitted, rowCount: rowCount, budget: budget)
          else { break }
          // A tick that is not full waits for the inputs that are being encoded now, and for
          // nothing else.
          let isOnHold = await flow.inputs.isOnHold
          let isExpecting = flow.isExpectingMore && !isOnHold
          let next =
            if let now = await flow.flights.takeNow() { now } else if isIdle || isExpecting {
              await flow.flights.next()
            } else { [Flight]?.none }
          guard let next else { break }
          waiting = next
          if waiting.isEmpty { continue }
        }
        guard hasRoom(for: waiting, beside: admitted, rowCount: rowCount, budget: budget)
        else { break }
        admitted += waiting
        (last, waiting) = (waiting, [])
      }
      guard rowCount > 0 || !admitted.isEmpty else { return }
      let flights = admitted
      let outcome = try await ticking.tick(admitting: flights)
      rowCount = outcome.rowCount
      await note(outcome, isFirst)
      for arrival in outcome.arrivals { guard await flow.arrivals.put(arrival) else { return } }
    }
  }

  /// Whether a group is admitted to the next tick.
  ///
  /// As many each tick as keep the row budget filled: more at once would be delivered at once.
  private static func hasRoom(
    for group: [Flight], beside admitted: [Flight], rowCount: Int, budget: Int
  ) -> Bool {
    if rowCount == 0, admitted.isEmpty { return true }
    let rows = (admitted + group).reduce(rowCount) { $0 + $1.rowCount }
    guard rows <= budget else { return false }
    let perInput = group.map(\.steadyRowCount).max() ?? 1
    let pace = max((budget + perInput - 1) / perInput, group.count)
    return admitted.count + group.count <= pace
  }

  /// The row budget of a tick.
  private var budget: Int { rowCapacity }

  private func note(_ outcome: TickStage.Outcome, isFirst: Bool, flow: LiveFlow) {
    let now = ContinuousClock.now
    statistics.add(outcome, gap: isFirst ? nil : lastTick.map { now - $0 })
    lastTick = now
    for arrival in outcome.arrivals {
      records[arrival.index]?.count(\.flying)
      records[arrival.index]?.hasArrived = true
    }
  }

  // MARK: - Delivery

  /// The images of arrived latents; a decoder failure is the failure of these.
  private static func pictures(
    of jobs: [DecodeJob], _ decoding: DecodeStage
  ) async -> Result<DecodeStage.Outcome, any Error> {
    do { return .success(try await decoding.decode(jobs)) } catch { return .failure(error) }
  }

  private func settle(
    _ arrivals: [Arrival], pictures: Result<DecodeStage.Outcome, any Error>, flow: LiveFlow
  ) async {
    if case .success(let outcome) = pictures {
      statistics.partialDecodeCount += outcome.partialCount
    }
    for arrival in arrivals {
      guard var record = records[arrival.index] else { continue }
      record.count(\.decoding)
      switch pictures {
      case .failure(let error): await settle(record, as: .failed(error), flow: flow)
      case .success(let outcome):
        await settle(
          record,
          as: outcome.images[arrival.index].map { .made($0) } ?? .failed(Self.notFinite(record)),
          flow: flow)
      }
    }
  }

  private static func notFinite(_ record: LiveRecord) -> ModelError {
    ModelError(
      code: .notFinite,
      message: "input \(record.input.index) contains NaN or infinity; a lower "
        + "guidance scale, smaller weights in the prompt or precision f32 may help")
  }

  private func settle(
    _ record: LiveRecord, as result: LiveRecord.Result, flow: LiveFlow
  ) async {
    var record = record
    record.result = result
    records[record.input.index] = record
    // Nothing may be reused of an image that was not made.
    if case .failed = result { memory = nil }
    _ = await flow.settled.offer((), mayDrop: { _ in true })
  }

  private func endOfArrivals(_ flow: LiveFlow) async {
    await flow.settled.finish()
  }

  /// The next frame, if its input has settled.
  private func nextSettled(_ flow: LiveFlow) async -> LiveFrame? {
    guard self.flow === flow else { return nil }
    while droppedIndices.remove(nextOutput) != nil { nextOutput += 1 }
    guard var record = records[nextOutput], let result = record.result else { return nil }
    records[nextOutput] = nil
    nextOutput += 1
    _ = await flow.places.takeNow()
    record.times.latency = .now - record.input.offered
    signal()
    letGoIfMany()
    return LiveFrame(
      index: record.input.index, timestamp: record.input.timestamp, settings: record.settings,
      settingsNumber: record.settingsNumber, outcome: outcome(result, of: record),
      times: record.times, input: record.fitted)
  }

  private func outcome(_ result: LiveRecord.Result, of record: LiveRecord) -> LiveFrame.Outcome {
    switch result {
    case .made(let bare):
      statistics.madeCount += 1
      if record.region != nil { statistics.regionCount += 1 }
      lastBare = bare
      return made(record.overlaid(bare))
    case .reused:
      guard let lastBare else { return .failed(Self.nothingBefore(record)) }
      statistics.madeCount += 1
      statistics.reusedCount += 1
      return made(record.overlaid(lastBare))
    case .failed(let error):
      statistics.failedCount += 1
      return .failed(error)
    case .skipped:
      guard let lastImage else { return .failed(Self.nothingBefore(record)) }
      return .repeated(lastImage)
    }
  }

  private func made(_ image: PixelImage) -> LiveFrame.Outcome {
    lastImage = image
    return .made(image)
  }

  private static func nothingBefore(_ record: LiveRecord) -> ModelError {
    ModelError(
      code: .notFinite,
      message: "input \(record.input.index) was skipped, and there is no image before it "
        + "to repeat: the input that it resembles failed")
  }

  /// Marks an input that will not be delivered.
  func drop(_ index: Int) async {
    statistics.droppedCount += 1
    droppedIndices.insert(index)
    decide(.dropped, on: index)
    _ = await flow?.settled.offer((), mayDrop: { _ in true })
  }

  // MARK: - Ends

  /// Ends the stream with an error, which its frames throw.
  private func fail(_ error: any Error, flow: LiveFlow) async {
    guard self.flow === flow, failure == nil else { return }
    failure = error
    await end(flow)
  }

  /// Ends the stream at once; everything in progress is cancelled.
  func end(_ flow: LiveFlow) async {
    statistics.givenUpCount +=
      statistics.offeredCount - statistics.droppedCount - statistics.madeCount
      - statistics.failedCount - statistics.skippedCount - statistics.givenUpCount
    isClosed = true
    await flow.close()
    records = [:]
    (group, waitingArrivals) = ([], [])
    for index in deciding.keys { decide(.ended, on: index) }
    signal()
  }

  /// Waits until a frame is ready, or the stream ends.
  func waitForOutput() async {
    await withCheckedContinuation { outputWaiters.append($0) }
  }

  private func signal() {
    for waiter in outputWaiters { waiter.resume() }
    outputWaiters = []
  }
}
