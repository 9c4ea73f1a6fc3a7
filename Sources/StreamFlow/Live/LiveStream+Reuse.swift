internal import FlowCore
internal import FlowModels

/// What is reused of the inputs and images before.
extension LiveStream {
  /// Encodes an input, or the region of it that changed.
  ///
  /// - Returns: nil if nothing that is visible changed.
  func flight(of record: inout LiveRecord, with resolved: ResolvedSettings) async throws -> Flight?
  {
    let (input, lane) = (record.input, resolved.lane)
    record.mask = resolved.mask?.weights
    let settings = resolved.settings
    guard settings.reuse.isActive else {
      decide(.admitted, on: input.index)
      let (flight, fitted) = try await encoding.flight(
        input.image, index: input.index, with: resolved)
      record.fitted = fitted
      return flight
    }
    let fitted = await encoding.fitted(input.image, size: lane.size, fit: settings.fit)
    record.fitted = fitted
    // The settings may have changed meanwhile: what is compared with their inputs starts anew.
    let isCurrent = current?.number == resolved.number
    var memory = (isCurrent ? memory : nil) ?? InputMemory(settings.reuse)
    let work = memory.work(
      on: fitted, with: settings, mask: resolved.mask?.coverage, unit: checkpoint.sizeMultiple,
      factor: checkpoint.autoencoder.factor)
    if isCurrent { self.memory = memory }
    record.changed = work.changed
    guard work.part != .nothing else {
      // Beside a mask the input itself is visible, which may have changed.
      decide(resolved.mask == nil ? .skipped : .admitted, on: input.index)
      if resolved.mask == nil { statistics.skippedCount += 1 }
      return nil
    }
    decide(.admitted, on: input.index)
    var resolved = resolved
    if work.strength != settings.strength {
      resolved.settings.strength = work.strength
      resolved.plan = try checkpoint.plan(for: resolved.settings)
    }
    record.settings.strength = work.strength
    if case .region(let region) = work.part, let lane = await regionLane(region.size, of: resolved)
    {
      record.region = (region, lane)
      // Kept from here on: the settings may change while the region is encoded.
      records[input.index]?.region = (region, lane)
      return try await encoding.flight(
        work.image, region: region, lane: lane, index: input.index, with: resolved)
    }
    return try await encoding.flight(work.image, index: input.index, with: resolved).flight
  }

  /// The lane of a region; nil while its engines are being made, unless that is waited for, and if they
  /// cannot be.
  private func regionLane(_ size: PixelSize, of resolved: ResolvedSettings) async -> LaneKey? {
    let lane = LaneKey(size: size, structure: resolved.lane.structure)
    let isNew = wantedRegions.insert(lane).inserted
    guard !hasNetwork(lane) else { return lane }
    // Where its engines take too much memory, whole images go on.
    if isNew, (try? checkMemory(lane)) != nil {
      let settings = resolved.settings
      regionTasks[lane] = Task {
        defer { regionTasks[lane] = nil }
        try await makeLane(lane, settings: settings, isFirst: false, isRegion: true)
      }
    }
    guard options.waitsForRegions, let task = regionTasks[lane] else { return nil }
    try? await task.value
    return hasNetwork(lane) ? lane : nil
  }

  /// Waits until the engines of all regions that inputs have asked for are ready, or could not be made.
  package func settleRegions() async {
    for task in regionTasks.values { try? await task.value }
  }

  /// The latents that can be decoded now, in the order of their images where one is made of the
  /// image before.
  ///
  /// - Parameters:
  ///   - arrivals: what arrived.
  ///   - isLast: whether nothing more arrives.
  func takeJobs(with arrivals: [Arrival], isLast: Bool) -> [DecodeJob] {
    waitingArrivals += arrivals
    var ready = waitingArrivals
    waitingArrivals = []
    if records.values.contains(where: \.readsEarlier) {
      let earliest =
        records.values.filter { $0.result == nil && !$0.hasArrived }.map(\.input.index).min()
        ?? .max
      ready.sort { $0.index < $1.index }
      if !isLast {
        waitingArrivals = ready.filter { $0.index > earliest }
        ready.removeAll { $0.index > earliest }
      }
    }
    return ready.map(job)
  }

  private func job(_ arrival: Arrival) -> DecodeJob {
    guard let record = records[arrival.index] else {
      return DecodeJob(
        arrival: arrival, size: arrival.size, region: nil, changed: nil, blend: 0, isKept: false)
    }
    let reuse = record.settings.reuse
    return DecodeJob(
      arrival: arrival, size: record.lane.size, region: record.region?.work,
      changed: record.changed, blend: Float(reuse.latentBlend), isKept: reuse.changesLatents)
  }
}
