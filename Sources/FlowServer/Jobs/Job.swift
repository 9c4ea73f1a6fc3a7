internal import FlowMedia
internal import Foundation
internal import StreamFlow

/// Many pictures that are made while nobody waits.
actor Job {
  /// How far it is.
  enum Status: String, Encodable, Sendable {
    case queued, running, done, failed, cancelled

    var isOver: Bool { self == .done || self == .failed || self == .cancelled }
  }

  /// A finished picture.
  struct Picture: Encodable, Sendable {
    let index: Int
    let seed: UInt64
    let url: String
  }

  /// What is told of it.
  struct Report: Encodable, Sendable {
    let id: String
    let object = "job"
    let status: Status
    let total: Int
    let done: Int
    let failed: Int
    let createdAt: Int
    let expiresAt: Int?
    let error: ErrorBody.Content?
    let warnings: [ResponseWarning]?
    var images: [Picture]?
  }

  /// What happens to it.
  enum Change: Sendable {
    case image(Picture)
    case progress(Report)
    case over(Report)
  }

  nonisolated let id: String
  nonisolated let encoding: PictureEncoding
  private let total: Int
  private let lifetime: Duration
  private let created = Date()
  private var status = Status.queued
  private var pictures: [Picture] = []
  private var names: [Int: ResultName] = [:]
  private var failedCount = 0
  private var error: ErrorBody.Content?
  private var warnings: [ResponseWarning]?
  private var ended: Date?
  private var task: Task<Void, Never>?
  private var watchers: [Int: AsyncStream<Change>.Continuation] = [:]
  private var nextWatcher = 0

  init(id: String, order: ImageOrder, lifetime: Duration) {
    self.id = id
    encoding = order.encoding
    total = order.pictureCount
    warnings = order.warnings.isEmpty ? nil : order.warnings
    self.lifetime = lifetime
  }

  /// Begins it.
  func start(_ order: ImageOrder, desk: OrderDesk, store: ResultStore, client: String) {
    task = Task {
      do {
        try await desk.fulfil(order, client: client) { warnings in
          await self.begin(warnings)
        } event: { generator, event in
          switch event {
          case .preview: break
          case .failed(_, let error): await self.addFailure(error)
          case .finished(let made):
            let bytes = try order.encoding.bytes(
              of: made.image, parameters: generator.parameters(of: made.request))
            await self.add(made, name: try await store.keep(bytes, order.encoding))
          }
        }
        self.end(.done)
      } catch is CancellationError { self.end(.cancelled) } catch {
        self.error = ServerError(error).body.error
        self.end(.failed)
      }
    }
  }

  /// Gives it up, within a tick; what was made is kept.
  func cancel() { task?.cancel() }

  private func begin(_ warnings: [ResponseWarning]?) {
    self.warnings = warnings
    status = .running
    tell(.progress(report()))
  }

  private func add(_ made: GeneratedImage, name: ResultName) {
    let picture = Picture(
      index: made.index, seed: made.request.seed, url: "/v1/jobs/\(id)/images/\(made.index)")
    pictures.append(picture)
    names[made.index] = name
    tell(.image(picture))
    tell(.progress(report()))
  }

  private func addFailure(_ error: any Error) {
    failedCount += 1
    self.error = ServerError(error).body.error
    tell(.progress(report()))
  }

  private func end(_ status: Status) {
    self.status = status
    ended = Date()
    tell(.over(report()))
    for watcher in watchers.values { watcher.finish() }
    watchers = [:]
  }

  /// Whether it has ended longer ago than results are kept.
  func isExpired(at now: Date) -> Bool {
    ended.map { now.timeIntervalSince($0) > lifetime / .seconds(1) } ?? false
  }

  /// Whether it has ended.
  var isOver: Bool { status.isOver }

  /// The stored picture of a number.
  func name(of index: Int) -> ResultName? { names[index] }

  /// All stored pictures.
  var storedNames: [ResultName] { Array(names.values) }

  /// What is told of it.
  func report(withImages: Bool = false) -> Report {
    Report(
      id: id, status: status, total: total, done: pictures.count, failed: failedCount,
      createdAt: Int(created.timeIntervalSince1970),
      expiresAt: ended.map { Int(($0 + lifetime / .seconds(1)).timeIntervalSince1970) },
      error: error, warnings: warnings,
      images: withImages ? pictures.sorted { $0.index < $1.index } : nil)
  }

  /// What happens to it from now on, after how far it is.
  func changes() -> AsyncStream<Change> {
    // As many as there are pictures, at most: nobody who is slow holds the job up.
    let (stream, continuation) = AsyncStream.makeStream(of: Change.self)
    continuation.yield(status.isOver ? .over(report()) : .progress(report()))
    guard !status.isOver else {
      continuation.finish()
      return stream
    }
    let number = nextWatcher
    nextWatcher += 1
    watchers[number] = continuation
    continuation.onTermination = { [weak self] _ in
      Task { await self?.forget(number) }
    }
    return stream
  }

  private func forget(_ watcher: Int) { watchers[watcher] = nil }

  private func tell(_ change: Change) {
    for watcher in watchers.values { watcher.yield(change) }
  }
}
