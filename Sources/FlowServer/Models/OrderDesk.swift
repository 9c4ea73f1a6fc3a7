internal import FlowCore
internal import Foundation
internal import HTTPTypes
internal import Logging
internal import Metrics
internal import Synchronization

/// The queue of image orders: limits the number of waiting images, and tracks orders in progress.
actor OrderDesk {
  private struct Entry {
    /// The number of outstanding images.
    var left: Int
  }

  private nonisolated let service: any ImageService
  private nonisolated let limits: ServerLimits
  private let stop: StopSignal
  private let logger: Logger
  /// The orders in progress, by number.
  private var entries: [Int: Entry] = [:]
  private var nextNumber = 0
  private var isClosed = false
  private let tally: ImageTally
  private nonisolated let waits: Metrics.Timer

  init(
    _ service: any ImageService, limits: ServerLimits, tally: ImageTally,
    metrics: PrometheusRegistry,
    stop: StopSignal, logger: Logger
  ) {
    self.service = service
    self.stop = stop
    self.limits = limits
    self.logger = logger
    self.tally = tally
    waits = Metrics.Timer(label: "streamflow_queue_wait", factory: metrics)
  }

  /// The number of ordered images that are not finished.
  var imageBacklog: Int { entries.values.reduce(0) { $0 + $1.left } }

  /// The number of orders in progress.
  var orderCount: Int { entries.count }

  /// Accepts no further orders.
  func close() { isClosed = true }

  /// Checks that orders are accepted.
  func checkOpen() throws(ServerError) {
    if isClosed { throw .stopping }
  }

  /// The size of an order's images; loads the model if its own size is requested.
  nonisolated func size(of order: ImageOrder) async throws -> PixelSize {
    if let size = order.size {
      _ = try await service.modelName(order.model)
      return size
    }
    let model = try await service.model(order.model)
    guard let size = model.defaultSize(within: limits) else {
      throw ServerError(
        .serviceUnavailable, "loading", "the model is being loaded; try again, or say a 'size'",
        retryAfter: 1)
    }
    return size
  }

  /// The most images that an order's model reads as references; loads the model.
  nonisolated func referenceLimit(of order: ImageOrder) async throws -> Int {
    guard let details = try await service.model(order.model).details else {
      throw ServerError(
        .serviceUnavailable, "loading", "the model is being loaded; try again", retryAfter: 1)
    }
    return details.references ?? 0
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
  nonisolated func modelName(of order: ImageOrder) async throws(ServerError) -> String {
    try await service.modelName(order.model)
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
  ///   - urgency: how urgent the images are.
  ///   - deadline: when nobody will want them any more.
  ///   - begun: called with the order's warnings once it was accepted; nil if there are none.
  ///   - event: called with each event.
  /// - Throws: an error for an invalid order, `queue_full`, `shutting_down`, or a failure of the
  ///   engines, which is logged.
  nonisolated func fulfil(
    _ order: ImageOrder, indices: [Int]? = nil, client: String,
    urgency: ServiceOrder.Urgency, deadline: Date? = nil,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void = { _ in },
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    _ = try await service.modelName(order.model)
    let number = try await enter(indices?.count ?? order.imageCount)
    let work = ServiceOrder(
      order, indices: indices, client: client, name: "r\(number)", urgency: urgency,
      deadline: deadline)
    try await stop.unlessStopped {
      do {
        // A job's images are files before the next ones are made.
        if indices == nil { try await self.checkPixelCount(of: order) }
        try await self.make(work, number: number, begun: begun, event: event)
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
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    try await FlowServer.within(
      time,
      else: ServerError(
        .gatewayTimeout, "request_timeout",
        "the images took longer than \(time.components.seconds) s; ask for fewer, or make them a "
          + "job (POST /v1/jobs)")
    ) {
      try await self.fulfil(
        order, client: client, urgency: order.isStreamed ? .watched : .awaited,
        deadline: Date(timeIntervalSinceNow: time / .seconds(1)), begun: begun, event: event)
    }
  }

  /// Has the images made, and measures how long the first event takes.
  private nonisolated func make(
    _ work: ServiceOrder, number: Int,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    let asked = ContinuousClock.now
    let isFirst = Mutex(true)
    try await service.make(work, begun: begun) { happened in
      let wasFirst = isFirst.withLock { isFirst in
        defer { isFirst = false }
        return isFirst
      }
      if wasFirst { self.waits.record(duration: .now - asked) }
      await self.noteEnd(happened, order: number)
      try await event(happened)
    }
  }

  private func noteEnd(_ event: ImageEvent, order number: Int) {
    switch event {
    case .preview: break
    case .finished:
      entries[number]?.left -= 1
      tally.add(.request)
    case .failed: entries[number]?.left -= 1
    }
  }

  /// Removes an order, finished or not.
  private func leave(_ number: Int) { entries[number] = nil }
}
