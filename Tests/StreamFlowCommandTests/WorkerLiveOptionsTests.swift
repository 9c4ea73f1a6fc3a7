import ArgumentParser
import FlowServer
import Testing

@testable import StreamFlowCommand

/// Where a worker takes live streams.
@Suite struct WorkerLiveOptionsTests {
  private static func address(
    _ arguments: [String], cluster: String = "nats://10.0.0.1:4222"
  ) async throws -> LiveEndpoint.Address? {
    try await WorkerLiveOptions.parse(arguments).address(cluster: cluster)
  }

  @Test("An address is a host with or without a port, and gateways may have another name for it")
  func addresses() async throws {
    for (text, host, port) in [
      ("10.0.0.5", "10.0.0.5", 0), ("10.0.0.5:8190", "10.0.0.5", 8190), ("pod-1:80", "pod-1", 80),
      ("::1", "::1", 0), ("[fd00::5]:8190", "fd00::5", 8190),
    ] {
      let address = try #require(await Self.address(["--live", text]))
      #expect(address.host == host && address.port == port && address.publicHost == nil, "\(text)")
    }
    let named = try #require(
      await Self.address(["--live", "0.0.0.0:8190", "--live-host", "worker-1"]))
    #expect(named.host == "0.0.0.0" && named.publicHost == "worker-1")
    let sixth = try #require(await Self.address(["--live", "::", "--live-host", "[fd00::5]"]))
    #expect(sixth.publicHost == "fd00::5")
  }

  @Test("Without an address, it listens on this machine alone if the NATS server is there")
  func defaults() async throws {
    #expect(try await Self.address([]) == nil)
    for cluster in ["nats://127.0.0.1:4222", "nats://localhost", "tls://[::1]:4222"] {
      #expect(try await Self.address([], cluster: cluster)?.host == "127.0.0.1", "\(cluster)")
      #expect(try await Self.address(["--live", "none"], cluster: cluster) == nil)
    }
    #expect(try await Self.address([], cluster: "nats://127.0.0.1,nats://10.0.0.1") == nil)
    // All addresses of this machine: the one on the way to the NATS server.
    let all = try #require(
      await Self.address(["--live", "0.0.0.0"], cluster: "nats://127.0.0.1:4222"))
    #expect(all.host == "0.0.0.0" && all.publicHost == "127.0.0.1")
  }

  @Test(
    "What is no address is refused",
    arguments: [
      ["--live", ""], ["--live", "a b"], ["--live", "http://10.0.0.5"], ["--live", "10.0.0.5:"],
      ["--live", "10.0.0.5:70000"], ["--live", "10.0.0.5:0"], ["--live", "10.0.0.5/x"],
      ["--live-host", "a"], ["--live", "none", "--live-host", "a"], ["--max-streams", "0"],
    ])
  func refusals(arguments: [String]) {
    #expect(throws: (any Error).self) { try WorkerLiveOptions.parse(arguments) }
  }
}
