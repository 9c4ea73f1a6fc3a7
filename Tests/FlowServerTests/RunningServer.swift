import FlowEngine
import FlowModels
import FlowTestSupport
import Foundation
import Logging
import StreamFlow
import Synchronization

@testable import FlowServer

/// A server on loopback, in this process.
final class RunningServer: Sendable {
  let port: Int
  private let task: Task<Void, any Error>

  /// Starts a server of the starter, and waits until it is ready.
  ///
  /// - Parameters:
  ///   - mustBeReady: whether the first model must become ready; otherwise it is enough that it was
  ///     tried.
  ///   - service: what makes its images; nil for the starter in this process.
  ///   - log: collects what the server logs, from the level `info` up.
  ///   - change: changes its options.
  init(
    mustBeReady: Bool = true, service: (any ImageService)? = nil, log: CollectedLog? = nil,
    _ change: (inout ServerOptions) -> Void = { _ in }
  ) async throws {
    var options = ServerOptions(
      models: [ServedModel(name: "starter") { try Checkpoint.starter64() }])
    options.port = 0
    options.rowCapacity = 4
    options.grace = .seconds(2)
    options.resultFolder = FileManager.default.temporaryDirectory.path
    options.devices = [.ofTests]
    change(&options)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    if let log {
      logger = Logger(label: "test") { _ in CollectedLog.Handler(log: log) }
      logger.logLevel = .info
    }
    let server =
      if let service { try Server(options, service: service, logger: logger) } else {
        try Server(options, logger: logger)
      }
    let (ports, found) = AsyncStream.makeStream(of: Int.self)
    task = Task {
      defer { found.finish() }
      try await server.run { found.yield($0) }
    }
    var iterator = ports.makeAsyncIterator()
    guard let port = await iterator.next() else {
      try await task.value
      throw ServerSetupError("the server ended before it began")
    }
    self.port = port
    while true {
      guard let answer = try? LoopbackClient.ask(port, "GET", "/readyz") else {
        // It has ended, and says why.
        try await task.value
        throw ServerSetupError("the server ended before it was ready")
      }
      if answer.status == 200 { break }
      if answer["error", "code"] as? String != "loading", !mustBeReady { break }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Stops it, and waits until it has.
  func stop() async {
    task.cancel()
    _ = try? await task.value
  }

  deinit { task.cancel() }

  /// The server that most tests use.
  static func shared() async throws -> RunningServer { try await starting.value }
  private static let starting = Task { try await RunningServer() }
}

/// The lines that a server logs.
final class CollectedLog: Sendable {
  /// A line with its metadata.
  struct Line: Sendable {
    let level: Logger.Level
    let text: String
  }

  private let collected = Mutex<[Line]>([])
  /// The lines so far.
  var lines: [Line] { collected.withLock { $0 } }

  /// Collects the lines of one logger.
  struct Handler: LogHandler {
    let log: CollectedLog
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { $1 }
      log.collected.withLock {
        $0.append(Line(level: event.level, text: "\(event.message) \(all)"))
      }
    }
  }
}
