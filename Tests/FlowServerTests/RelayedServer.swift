import FlowEngine
import FlowModels
import FlowTestSupport
import Foundation
import Logging
import StreamFlow
import Synchronization
import Testing

@testable import FlowServer

/// The live streams of a process, and of a gateway whose streams a worker runs.
enum StreamHost: CaseIterable, CustomTestStringConvertible {
  case process, gateway

  /// A server of the starter.
  func server() async throws -> RunningServer {
    switch self {
    case .process: try await RunningServer.shared()
    case .gateway: try await RelayedServer.shared()
    }
  }

  var testDescription: String { "\(self)" }
}

/// A worker's live streams, in this process.
final class RunningEndpoint: Sendable {
  let host: LiveHost
  let endpoint: LiveEndpoint
  private let task: Task<Void, any Error>

  init(
    worker: String = "worker/1 of tests", _ change: (inout ServerOptions) -> Void = { _ in }
  ) async throws {
    var options = ServerOptions(
      models: [ServedModel(name: "starter") { try Checkpoint.starter64() }])
    options.devices = [.ofTests]
    options.limits.streamCount = 8
    change(&options)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let endpoint = try LiveEndpoint(
      .init(host: "127.0.0.1"), worker: worker,
      service: LocalImageService(options, logger: logger), options: options, logger: logger)
    let (hosts, found) = AsyncStream.makeStream(of: LiveHost.self)
    task = Task {
      defer { found.finish() }
      try await endpoint.run { found.yield($0) }
    }
    var iterator = hosts.makeAsyncIterator()
    guard let host = await iterator.next() else {
      try await task.value
      throw ServerSetupError("the endpoint ended before it began")
    }
    (self.host, self.endpoint) = (host, endpoint)
  }

  /// Stops it, and waits until it has.
  func stop() async {
    task.cancel()
    _ = try? await task.value
  }

  deinit { task.cancel() }
}

/// Workers as a gateway knows them.
final class FakePlacement: ImageService, LivePlacement {
  let hosts: Mutex<[LiveHost]>
  /// The streams that were opened at each worker.
  private let opened = Mutex<[String: Int]>([:])
  private let endpoints: [RunningEndpoint]

  init(_ endpoints: [RunningEndpoint] = []) {
    self.endpoints = endpoints
    hosts = Mutex(endpoints.map(\.host))
  }

  func liveHosts(of model: String?) async throws -> (model: String, hosts: [LiveHost]) {
    ("starter", hosts.withLock { $0 })
  }
  func didOpen(at host: LiveHost) { opened.withLock { $0[host.worker, default: 0] += 1 } }
  func didEnd(at host: LiveHost) { opened.withLock { $0[host.worker, default: 0] -= 1 } }
  func streamCount(at worker: String?) -> Int {
    opened.withLock { opened in
      worker.map { opened[$0] ?? 0 } ?? opened.values.reduce(0, +)
    }
  }
  func liveHost(named worker: String) -> LiveHost? {
    hosts.withLock { $0.first { $0.worker == worker } }
  }
  func liveReports() async -> [LiveReport] {
    var reports: [LiveReport] = []
    for endpoint in endpoints { reports += await endpoint.endpoint.reports() }
    return reports
  }

  var livePlacement: (any LivePlacement)? { self }
  func start() async throws {}
  func warmUp() async {}
  func close() async {}
  func workers() async -> [ServiceWorker]? { [] }
  func modelName(_ name: String?) async throws(ServerError) -> String { "starter" }
  func models() async -> [ServiceModel] {
    [ServiceModel(name: "starter", state: "ready", details: nil, memoryBytes: 0, batches: [])]
  }
  func model(_ name: String?) async throws -> ServiceModel { throw ServerError.noWorkers }
  func prompts(of name: String?) async throws -> ModelPrompts { throw ServerError.noWorkers }
  func make(
    _ work: ServiceOrder, begun: @escaping @Sendable ([ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws { throw ServerError.noWorkers }
}

/// A gateway whose live streams run at a worker of this process.
enum RelayedServer {
  /// The gateway that most tests use.
  static func shared() async throws -> RunningServer { try await starting.value }
  private static let starting = Task {
    try await RunningServer(service: FakePlacement([try await RunningEndpoint()]))
  }
}
