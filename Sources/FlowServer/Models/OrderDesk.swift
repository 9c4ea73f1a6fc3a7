internal import FlowCore
internal import HTTPTypes
internal import Logging
internal import Metrics
internal import StreamFlow

/// Takes orders for pictures: bounds how many wait, and knows which are under way.
actor OrderDesk {
  /// An order that is under way.
  struct Entry: Sendable {
    let id: String
    let model: String
    let client: String
    let stream: Int
  }

  private let shelf: ModelShelf
  private let capacity: Int
  private var entries: [String: Entry] = [:]
  /// The pictures of each order that are still to come.
  private var tickets: [Int: Int] = [:]
  private var nextTicket = 0
  private var isClosed = false
  /// The pictures made, by five seconds since the start.
  private var throughput: [Int: Int] = [:]
  private(set) var pictureCount = 0
  private let start = ContinuousClock.now
  private let made = Counter(label: "streamflow_pictures")
  private let waits = Timer(label: "streamflow_queue_wait")

  init(_ shelf: ModelShelf, limits: ServerLimits) {
    self.shelf = shelf
    capacity = limits.queuedPictureCount
  }

  /// The number of pictures that were ordered and are not made.
  var pictureBacklog: Int { tickets.values.reduce(0, +) }
  /// The number of orders under way.
  var orderCount: Int { entries.count }
  /// The orders by their streams of a model.
  func orders(of model: String) -> [Int: String] {
    Dictionary(
      entries.values.filter { $0.model == model }.map { ($0.stream, $0.id) },
      uniquingKeysWith: { $1 })
  }

  /// Takes no more orders.
  func close() { isClosed = true }

  /// Makes room for so many pictures.
  private func reserve(_ count: Int) throws(ServerError) -> Int {
    guard !isClosed else {
      throw ServerError(
        .serviceUnavailable, "shutting_down", "the server is about to stop; try again",
        retryAfter: 10)
    }
    let reserved = pictureBacklog
    guard reserved + count <= capacity else {
      let wait = max(1, min(600, Int((Double(reserved) / max(pace, 0.1)).rounded())))
      throw ServerError(
        .tooManyRequests, "queue_full",
        "\(reserved) pictures wait already and at most \(capacity) may (--queue); try again in "
          + "\(wait) s, or ask for fewer than \(count)", retryAfter: wait)
    }
    nextTicket += 1
    tickets[nextTicket] = count
    return nextTicket
  }

  /// Takes an order off the books, made or not.
  private func release(_ ticket: Int) {
    tickets[ticket] = nil
    entries["r\(ticket)"] = nil
  }

  /// The pictures a second of late.
  private var pace: Double {
    let now = bucket
    let recent = throughput.filter { $0.key >= now - 12 && $0.key < now }
    guard !recent.isEmpty else { return 1 }
    return Double(recent.values.reduce(0, +)) / Double(5 * max(min(now, 12), 1))
  }

  private var bucket: Int { Int((ContinuousClock.now - start) / .seconds(5)) }

  /// Hands the pictures of an order on as they are made.
  ///
  /// - Parameters:
  ///   - order: what is asked for.
  ///   - client: who asks; clients take turns.
  ///   - begun: called with what the pictures are made by, once they are asked for.
  ///   - event: called with each event.
  /// - Throws: what is wrong with the order, `queue_full`, or a failure of the engines.
  nonisolated func fulfil(
    _ order: ImageOrder, client: String,
    begun: @Sendable (Generator, GenerationEvents, [GenerationRequest]) async throws -> Void,
    event: @Sendable (Generator, GenerationEvent) async throws -> Void
  ) async throws {
    let host = try shelf.host(order.model)
    let ticket = try await reserve(order.pictureCount)
    do {
      try await shelf.using(host) { host in
        let generator = try await host.generator(order.size)
        let requests = order.requests(of: generator.checkpoint)
        let events = try await generator.events(
          for: requests, client: client, previewCount: order.previewCount)
        await self.enter(ticket, events, model: host.name, client: client)
        do {
          try await begun(generator, events, requests)
          let asked = ContinuousClock.now
          var isFirst = true
          for try await happened in events {
            if isFirst { await self.note(wait: .now - asked) }
            isFirst = false
            if case .preview = happened {} else { await self.noteEnd(of: ticket, happened) }
            try await event(generator, happened)
          }
        } catch {
          await events.cancel()
          throw error
        }
      }
      await release(ticket)
    } catch {
      await release(ticket)
      throw error
    }
  }

  private func enter(_ ticket: Int, _ events: GenerationEvents, model: String, client: String) {
    let id = "r\(ticket)"
    entries[id] = Entry(id: id, model: model, client: client, stream: events.stream)
  }

  private func noteEnd(of ticket: Int, _ event: GenerationEvent) {
    tickets[ticket, default: 1] -= 1
    guard case .finished = event else { return }
    made.increment()
    pictureCount += 1
    throughput[bucket, default: 0] += 1
    if throughput.count > 200 { throughput = throughput.filter { $0.key > bucket - 120 } }
  }

  private func note(wait: Duration) { waits.record(duration: wait) }

  /// The pictures of the last ten minutes by five seconds, oldest first.
  var recentThroughput: [(secondsAgo: Int, pictures: Int)] {
    let now = bucket
    return (max(now - 119, 0)...now).map { (5 * (now - $0), throughput[$0] ?? 0) }
  }
}
