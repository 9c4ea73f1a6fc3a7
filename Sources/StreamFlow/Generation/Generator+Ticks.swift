internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// A tick: admission, advance and decoding.
extension Generator {
  /// Admits, advances and retires.
  ///
  /// Everything that must be prepared is prepared before any change.
  func tick() async throws {
    try await prepare()
    guard let stages else { return }
    try await prepareSources(stages)
    stages.conditioner.releaseUnusedTexts()
    if pending.count > 0 {
      // Those that are next in turn come first: without them nothing would be admitted.
      let upcoming =
        pending.heads.map(\.element.request)
        + pending.elements.prefix(Conditioner.preparedCount).map(\.request)
      if stages.conditioner.mustPrepareTexts(for: upcoming) {
        try await stages.conditioner.prepareTexts(for: upcoming)
      }
    }
    // Where nothing else is to be done, what other devices encode is waited for.
    if batch.isEmpty, let request = pending.first?.element.request {
      await stages.conditioner.waitForOthers(encoding: request)
    }
    try admit(with: stages)
    chooseWaiting()
    var advancing = batch.inFlight.filter { !waiting.contains($0.id) }
    var lanes = lanes(of: advancing, sharing: stages.network.structure.chunks)
    if lanes.count > 1, !stages.network.catalogue.keepsSeveral {
      // A large network has one engine at a time: other lanes wait until this one is done.
      let chosen = lanes.firstIndex { stages.network.catalogue.hasEngine($0.structure) }
      let lane = lanes[chosen ?? 0]
      waiting.formUnion(advancing.map(\.id).filter { !lane.holds($0) })
      advancing.removeAll { !lane.holds($0.id) }
      lanes = [lane]
    }
    for lane in lanes {
      try await stages.network.prepare(rowCount: lane.rowCount, structure: lane.structure)
    }
    let shownCount = advancing.count { willShow($0) }
    if shownCount > 0 { try await stages.decoder.prepare(for: shownCount) }
    let start = ContinuousClock.now
    var retired: [Trajectory<Conditioning>] = []
    do {
      for lane in lanes {
        stages.network.structure = lane.structure
        try batch.advance(along: &stages.network) { waiting.contains($0) || !lane.holds($0) }
        retired += batch.retire()
      }
    } catch {
      // Images that an earlier lane finished are not lost with the lane that failed.
      finish(retired, showing: [], with: stages.decoder)
      throw error
    }
    measured.tickTime += .now - start
    measured.rowCount += lanes.reduce(0) { $0 + $1.rowCount }
    let shown = batch.inFlight.filter { trajectory in
      !waiting.contains(trajectory.id)
        && inFlight[trajectory.id]?.previewStages.contains(trajectory.stage) == true
    }
    for trajectory in batch.inFlight where !waiting.contains(trajectory.id) {
      guard let admission = inFlight[trajectory.id], admission.reportsSteps else { continue }
      boxes.put(
        .stepped(
          index: admission.index, step: trajectory.stage, count: trajectory.plan.rows.count),
        into: admission.stream)
    }
    guard !retired.isEmpty || !shown.isEmpty else { return }
    finish(retired, showing: shown, with: stages.decoder)
  }

  /// The trajectories that run through the network together.
  private struct Lane {
    let structure: NetworkStructure
    let rowCount: Int
    /// The trajectories' identifiers, or nil for all.
    let ids: Set<Int>?

    func holds(_ id: Int) -> Bool { ids?.contains(id) ?? true }
  }

  /// The lanes of a tick, one for each structure.
  ///
  /// Conditionings of all lengths share a lane, unless text and image attend to each other.
  private func lanes(
    of advancing: [Trajectory<Conditioning>], sharing chunkCount: Int
  ) -> [Lane] {
    func rows(_ trajectories: [Trajectory<Conditioning>]) -> Int {
      trajectories.reduce(0) { $0 + $1.rowCount }
    }
    func structure(_ trajectory: Trajectory<Conditioning>) -> NetworkStructure {
      var structure = inFlight[trajectory.id]?.structure ?? NetworkStructure()
      if layout != .joint { structure.chunks = chunkCount }
      return structure
    }
    guard let first = advancing.first.map(structure) else {
      return [Lane(structure: NetworkStructure(chunks: chunkCount), rowCount: 0, ids: nil)]
    }
    if advancing.allSatisfy({ structure($0) == first }) {
      return [Lane(structure: first, rowCount: rows(advancing), ids: nil)]
    }
    return Dictionary(grouping: advancing, by: structure).sorted { $0.key < $1.key }
      .map { structure, trajectories in
        Lane(
          structure: structure, rowCount: rows(trajectories), ids: Set(trajectories.map(\.id)))
      }
  }

  private var layout: ConditioningLayout { checkpoint.family.conditioningLayout }

  /// Whether an image is decoded after the next step.
  private func willShow(_ trajectory: Trajectory<Conditioning>) -> Bool {
    let stage = trajectory.stage + 1
    return stage == trajectory.plan.rows.count
      || inFlight[trajectory.id]?.previewStages.contains(stage) == true
  }

  /// Makes the encoder with the first image that starts from another or whose network reads one.
  ///
  /// - Throws: `CancellationError`; any other failure belongs to the images that need the encoder.
  private func prepareSources(_ stages: Stages) async throws(CancellationError) {
    let adapters =
      checkpoint.adapters.isEmpty ? [] : Set(pending.elements.flatMap(\.structure.adapters))
    if stages.adapterFailure == nil, !stages.adapters.isPrepared(for: adapters) {
      do { try await stages.adapters.prepare(for: adapters) } catch let error as CancellationError {
        throw error
      } catch { stages.adapterFailure = error }
    }
    try await prepareReferences(stages)
    guard stages.pictures == nil, stages.imageFailure == nil,
      checkpoint.family.readsMaskedImage
        || pending.elements.contains(where: { $0.request.source != nil })
    else { return }
    do {
      stages.pictures = try await .make(
        checkpoint, width: width, height: height, provider: provider.placed(.decoder))
    } catch let error as CancellationError { throw error } catch {
      stages.imageFailure = error
    }
  }

  /// Encodes the reference images of the requests that may be admitted next.
  private func prepareReferences(_ stages: Stages) async throws(CancellationError) {
    guard checkpoint.referenceLimit > 0 else { return }
    guard let next = nextAdmission?.element else {
      if pending.isEmpty { stages.references.forget() }
      return
    }
    let upcoming =
      [next] + pending.heads.map(\.element) + pending.elements.prefix(rowCapacity)
    try await stages.references.prepare(
      for: upcoming.filter { $0.resumed == nil }.map(\.request),
      next: next.resumed == nil ? next.request : nil
    ) {
      try checkMemory(ofReferencesIn: next.request)
      // The table's program has the network's weights too.
      await stages.network.catalogue.releaseLarge()
    }
  }

  /// Chooses the trajectories that the next tick leaves out.
  private func chooseWaiting() {
    if !waiting.isEmpty { waiting = [] }
    // With a single stream there is nothing to choose.
    guard boxes.count > 1 || batch.rowCount > rowCapacity else { return }
    let brief = Set(inFlight.values.lazy.map(\.stream)).filter { pending.count(of: $0) == 0 }
    waiting = TickShare.waiting(
      of: batch.inFlight.map { trajectory in
        TickShare.Flight(
          id: trajectory.id, rowCount: trajectory.rowCount,
          isBrief: inFlight[trajectory.id].map { brief.contains($0.stream) } ?? true)
      }, rowCapacity: rowCapacity)
  }

  /// The next element to be admitted, and its stream.
  private var nextAdmission: (stream: Int, element: Admission)? {
    guard let first = pending.first else { return nil }
    if batch.rowCount + first.element.peakRowCount <= rowCapacity { return first }
    // There is no room in a tick. A stream with nothing in flight need not wait for a long one,
    // some of which can be left out of ticks for it.
    let flying = Set(inFlight.values.lazy.map(\.stream))
    guard flying.contains(where: { pending.count(of: $0) > 0 }) else { return nil }
    return pending.heads.first { head in
      !flying.contains(head.stream)
        && batch.hasRoom(for: head.element.request.guidance, plan: head.element.plan)
    }
  }

  /// The time after which the remaining requests are admitted with the next tick.
  private static let longestAdmission = Duration.milliseconds(100)

  private func admit(with stages: Stages) throws {
    let start = ContinuousClock.now
    let network = stages.network
    // A large network's engine is compiled again for another row count: it shrinks when all are
    // done.
    if network.catalogue.keepsSeveral || batch.isEmpty && layout != .masked {
      network.structure.chunks = inFlight.values.reduce(1) {
        layout.common($0, $1.structure.chunks)
      }
    }
    // Encoding prompts takes time: images in flight do not wait for all of a large job's prompts.
    while batch.isEmpty || ContinuousClock.now - start < Self.longestAdmission,
      let (stream, element) = nextAdmission,
      element.resumed != nil
        || stages.references.isReady(for: element.request)
          && stages.conditioner.claim(element.request)
    {
      var next = element
      // What cannot be encoded is the failure of its own image alone.
      let encoded = Result { try trajectory(of: &next, with: stages) }
      stages.conditioner.releaseClaims()
      if case .failure(let error) = encoded {
        _ = pending.take(from: stream)
        boxes.put(.failed(index: next.index, error), into: stream)
      }
      guard case .success(let trajectory) = encoded else { continue }
      if layout != .joint {
        guard
          let chunks = layout.joined(
            network.structure.chunks, by: next.structure.chunks, isAlone: batch.isEmpty)
        else { break }
        network.structure.chunks = chunks
      }
      batch.admit(trajectory)
      inFlight[nextID] = next
      nextID += 1
      _ = pending.take(from: stream)
    }
    measured.admissionTime += .now - start
  }

  /// An image's trajectory, begun here or where another device left it.
  private func trajectory(
    of admission: inout Admission, with stages: Stages
  ) throws -> Trajectory<Conditioning> {
    if let resumed = admission.resumed {
      admission.resumed = nil
      return resumed.named(nextID)
    }
    let request = admission.request
    let conditioning = try stages.conditioner.conditioning(of: request)
    let start = try start(of: request, with: stages)
    admission.structure.chunks = conditioning.chunkCount
    admission.overlay = start.overlay
    return Trajectory(
      id: nextID, plan: admission.plan, request, conditioning, start, shape: sampleShape,
      keepsEstimate: !admission.previewStages.isEmpty)
  }

  private func start(of request: GenerationRequest, with stages: Stages) throws -> ImageStart {
    var start = ImageStart(noise: request.noise)
    if request.source != nil || checkpoint.family.readsMaskedImage {
      guard let encoder = stages.pictures else {
        throw stages.imageFailure ?? CancellationError()
      }
      let mask = request.source?.fittedMask(width: width, height: height)
      start = try ImageStart(
        request,
        mask: mask.map {
          FittedMask(
            $0, blur: request.source?.maskBlur ?? 0, factor: checkpoint.autoencoder.factor)
        }, family: checkpoint.family, encoder: encoder, sampleShape: sampleShape)
    }
    if request.skipLayerGuidance != nil { start.skipInput = checkpoint.family.skipInput }
    if !request.references.isEmpty {
      try checkMemory(ofReferencesIn: request)
      start.inputs += try stages.references.inputs(of: request)
    }
    if !request.controls.isEmpty {
      if let failure = stages.adapterFailure { throw failure }
      start.adapters = try AdapterInputs(request, of: checkpoint, encoder: stages.adapters)
    }
    return start
  }

  private static func notFinite(_ admission: Admission) -> ModelError {
    ModelError(
      code: .notFinite,
      message: "image \(admission.index + 1) (seed \(admission.request.seed)) contains NaN "
        + "or infinity; a lower guidance scale, smaller weights in the prompt or precision f32 may "
        + "help, and the model's weights may be damaged")
  }

  /// Decodes what has retired, and previews of the rest; a failure is the error of the affected
  /// images.
  private func finish(
    _ retired: [Trajectory<Conditioning>], showing shown: [Trajectory<Conditioning>],
    with decoder: LatentDecoder
  ) {
    let start = ContinuousClock.now
    let sound = retired.filter(\.sample.isFinite)
    let estimates = shown.compactMap { trajectory in
      trajectory.estimate.flatMap { $0.isFinite ? (trajectory, $0) : nil }
    }
    let decoded = Result { try decoder.decode(sound.map(\.sample) + estimates.map(\.1)) }
    var index = 0
    for trajectory in retired {
      measured.evaluationCount += trajectory.plan.rows.count
      guard let admission = inFlight.removeValue(forKey: trajectory.id) else { continue }
      var result: Result<PixelImage?, any Error> = .success(nil)
      if trajectory.sample.isFinite {
        let place = index
        index += 1
        result = decoded.map { $0[place] }
      }
      do {
        guard let image = try result.get() else { throw Self.notFinite(admission) }
        measured.imageCount += 1
        boxes.put(
          .finished(
            GeneratedImage(
              image: admission.overlay?(image) ?? image, request: admission.request,
              index: admission.index)),
          into: admission.stream)
      } catch { boxes.put(.failed(index: admission.index, error), into: admission.stream) }
    }
    if case .success(let pictures) = decoded {
      for (trajectory, picture) in zip(estimates.map(\.0), pictures.dropFirst(sound.count)) {
        guard let picture, let admission = inFlight[trajectory.id] else { continue }
        let number = admission.previewStages.firstIndex(of: trajectory.stage) ?? 0
        boxes.put(
          .preview(
            index: admission.index, number: number,
            image: admission.overlay?(picture) ?? picture),
          into: admission.stream)
      }
    }
    measured.decodeTime += .now - start
  }
}
