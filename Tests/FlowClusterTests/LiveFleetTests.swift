import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowCluster
@testable import FlowServer

/// Where a fleet's live streams are, around a real server of NATS.
@Suite(.tags(.process), .timeLimit(.minutes(2))) struct LiveFleetTests {
  @Test("A worker tells gateways where its live streams are, until it stops")
  func live() async throws {
    let fleet = try await TestFleet()
    let options = ServerOptions(
      models: [ServedModel(name: "starter") { try Checkpoint.starter64() }])
    let endpoint = try LiveEndpoint(
      .init(host: "127.0.0.1"), worker: "one",
      service: LocalImageService(options, logger: TestFleet.logger), options: options,
      logger: TestFleet.logger)
    try await fleet.add("one", live: endpoint)
    try await fleet.add("two")
    let host = try #require(try await fleet.gateway.liveHosts(of: "fake").hosts.first)
    #expect(try await fleet.gateway.liveHosts(of: nil) == ("fake", [host]))
    #expect(fleet.gateway.liveHost(named: "one") == host)
    #expect(fleet.gateway.liveHost(named: "two") == nil)
    #expect(await fleet.gateway.liveReports().isEmpty)
    func status() -> Int? { try? LoopbackClient.ask(host.port, "GET", "/healthz").status }
    #expect(status() == 200)
    await #expect(throws: ServerError.self) { try await fleet.gateway.liveHosts(of: "other") }
    await fleet.stopWorkers()
    #expect(status() == nil)
    while fleet.gateway.liveHost(named: "one") != nil {
      try await Task.sleep(for: .milliseconds(5))
    }
    await fleet.stop()
  }
}
