internal import FlowCore
internal import FlowModels
internal import HTTPTypes
internal import Logging
internal import Metrics
internal import StreamFlow

/// The queue of image orders: limits the number of waiting images, and tracks orders in progress.
actor OrderDesk {
  private struct Entry {
    /// The number of outstanding images.
    var left: Int
    /// The generator and its stream number, once the images are requested.
    var maker: ObjectIdentifier?
    var stream: Int?
  }

  private let shelf: ModelShelf
  private nonisolated let limits: ServerLimits
  private let stop: StopSignal
  private let logger: Logger
  /// The orders in progress, by number.
  private var entries: [Int: Entry] = [:]
  private var nextNumber = 0
  private var isClosed = false
  private let tally: ImageTally
  private let waits: Timer
  private nonisolated let upscaler: Upscaler

  init(
    _ shelf: ModelShelf, upscaler: Upscaler, limits: ServerLimits, tally: ImageTally,
    metrics: PrometheusRegistry,
    stop: StopSignal, logger: Logger
  ) {
    self.shelf = shelf
    self.upscaler = upscaler
    self.stop = stop
    self.limits = limits
    self.logger = logger
    self.tally = tally
    waits = Timer(label: "streamflow_queue_wait", factory: metrics)
  }

  /// The number of ordered images that are not finished.
  var imageBacklog: Int { entries.values.reduce(0) { $0 + $1.left } }

  /// The number of orders in progress.
  var orderCount: Int { entries.count }

  /// The labels of a generator's orders, by its streams.
  func orders(of generator: Generator) -> [Int: String] {
    var names: [Int: String] = [:]
    for (number, entry) in entries where entry.maker == ObjectIdentifier(generator) {
      if let stream = entry.stream { names[stream] = "r\(number)" }
    }
    return names
  }

  /// Accepts no further orders.
  func close() { isClosed = true }

  /// Checks that orders are accepted.
  func checkOpen() throws(ServerError) {
    if isClosed { throw .stopping }
  }

  /// The size of an order's images; loads the model if its own size is requested.
  nonisolated func size(of order: ImageOrder) async throws -> PixelSize {
    let host = try shelf.host(order.model)
    if let size = order.size { return size }
    return limits.defaultSize(of: try await host.loaded())
  }

  /// Reserves queue positions for `count` images.
  private func enter(_ count: Int) throws(ServerError) -> Int {
    try checkOpen()
    let (backlog, capacity) = (imageBacklog, limits.queuedImageCount)
    guard backlog + count <= capacity else {
      let wait = max(1, min(600, Int((Double(backlog) / max(tally.requestRate, 0.1)).rounded())))
      throw ServerError(
        .tooManyRequests, "queue_full",
        "\(backlog) images wait already and at most \(capacity) may; try again in "
          + "\(wait) s, or ask for fewer than \(count)", retryAfter: wait)
    }
    nextNumber += 1
    entries[nextNumber] = Entry(left: count)
    return nextNumber
  }

  /// Maximum number of images of one job that may wait at once.
  nonisolated var jobCapacity: Int { limits.queuedImageCount }

  /// The name of an order's model.
  nonisolated func modelName(of order: ImageOrder) throws(ServerError) -> String {
    try shelf.host(order.model).name
  }

  /// Forwards the images of an order as they are finished.
  ///
  /// Returns at once if the caller's task is cancelled or the server stops; images in flight are
  /// cancelled within a tick.
  ///
  /// - Parameters:
  ///   - order: the order.
  ///   - indices: the images of the order; all by default.
  ///   - client: the client; clients are served in turn.
  ///   - begun: called with the order's warnings once it was accepted; nil if there are none.
  ///   - event: called with each event, and the generator.
  /// - Throws: an error for an invalid order, `queue_full`, `shutting_down`, or a failure of the
  ///   engines, which is logged.
  nonisolated func fulfil(
    _ order: ImageOrder, indices: [Int]? = nil, client: String,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void = { _ in },
    event: @escaping @Sendable (Generator, GenerationEvent) async throws -> Void
  ) async throws {
    let host = try shelf.host(order.model)
    let finish = ImageFinish(
      upscaling: try order.upscale.map { factor throws(ModelError) in
        try Upscaling(upscaler, by: factor)
      })
    let number = try await enter(indices?.count ?? order.imageCount)
    try await stop.unlessStopped {
      do {
        try await self.make(
          order, indices, client: client, number: number, of: host, finish: finish, begun: begun,
          event: event)
        await self.leave(number)
      } catch {
        await self.leave(number)
        if ServerError.mustLog(error) {
          self.logger.error(
            "order failed", metadata: ["order": "r\(number)", "error": "\(error)"])
        }
        throw error
      }
    }
  }

  private nonisolated func make(
    _ order: ImageOrder, _ indices: [Int]?, client: String, number: Int, of host: ModelHost,
    finish: ImageFinish, begun: @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @Sendable (Generator, GenerationEvent) async throws -> Void
  ) async throws {
    try await shelf.using(host) { host in
      // A job's images are files before the next ones are made.
      if indices == nil { try await checkPixelCount(of: order) }
      let generator = try await shelf.generator(order.size, of: host)
      let all = order.requests(of: generator.checkpoint)
      let events = try await generator.events(
        for: indices?.map { all[$0] } ?? all, client: client, previewCount: order.previewCount)
      await note(events.stream, of: generator, order: number)
      do {
        await begun(order.allWarnings(model: host.name, generator.checkpoint))
        try await pull(events, of: generator, order: number) { happened in
          try await event(generator, finish.finished(happened))
        }
      } catch {
        await events.cancel()
        throw error
      }
    }
  }

  /// Refuses images that are too many pixels together once they are larger.
  private nonisolated func checkPixelCount(of order: ImageOrder) async throws {
    guard let factor = order.upscale else { return }
    let size = try await size(of: order)
    let count = order.imageCount * size.width * size.height * factor * factor
    guard count > limits.upscaledPixelCount else { return }
    throw ServerError.invalid(
      "\(order.imageCount) images of \(size) have \(count) pixels when they are \(factor) times as "
        + "large, and at most \(limits.upscaledPixelCount) are made at once; ask for fewer or "
        + "smaller ones, or make them a job (POST /v1/jobs)", parameter: "upscale")
  }

  /// The same with a time limit, after which the order is cancelled.
  nonisolated func fulfil(
    _ order: ImageOrder, client: String, within time: Duration,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void = { _ in },
    event: @escaping @Sendable (Generator, GenerationEvent) async throws -> Void
  ) async throws {
    try await FlowServer.within(
      time,
      else: ServerError(
        .gatewayTimeout, "request_timeout",
        "the images took longer than \(time.components.seconds) s; ask for fewer, or make them a "
          + "job (POST /v1/jobs)")
    ) {
      try await self.fulfil(order, client: client, begun: begun, event: event)
    }
  }

  private nonisolated func pull(
    _ events: GenerationEvents, of generator: Generator, order number: Int,
    _ event: @Sendable (GenerationEvent) async throws -> Void
  ) async throws {
    let asked = ContinuousClock.now
    var isFirst = true
    for try await happened in events {
      if isFirst { waits.record(duration: .now - asked) }
      isFirst = false
      switch happened {
      case .preview, .stepped: break
      case .finished, .failed: await noteEnd(happened, order: number)
      }
      try await event(happened)
    }
  }

  private func note(_ stream: Int, of generator: Generator, order number: Int) {
    entries[number]?.maker = ObjectIdentifier(generator)
    entries[number]?.stream = stream
  }

  private func noteEnd(_ event: GenerationEvent, order number: Int) {
    entries[number]?.left -= 1
    if case .finished = event { tally.add(.request) }
  }

  /// Removes an order, finished or not.
  private func leave(_ number: Int) { entries[number] = nil }
}

extension ImageFinish {
  /// An event with its finished image larger; a failure of the image where that fails.
  fileprivate func finished(_ event: GenerationEvent) async throws -> GenerationEvent {
    guard case .finished(let image) = event, upscaling != nil else { return event }
    do { return .finished(try await upscaled(image)) } catch is CancellationError {
      throw CancellationError()
    } catch {
      return .failed(index: image.index, error)
    }
  }
}
