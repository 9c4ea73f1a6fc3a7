import FlowCore
import FlowNATS
import FlowTestSupport
import Foundation
import StreamFlow
import Synchronization
import Testing

@testable import FlowCluster
@testable import FlowServer

/// The sample configuration of a server, around a real one.
@Suite(.tags(.process)) struct FleetPermissionTests {
  @Test(
    "The permissions of the sample configuration suffice, and a worker's do no more",
    .timeLimit(.minutes(1)))
  func permissions() async throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Documentation/cluster/nats.conf")
    let text = try String(contentsOf: file, encoding: .utf8)
    let accounts = String(text[try #require(text.range(of: "accounts {")).lowerBound...])
    let folder = try TemporaryFolder()
    func key(_ seed: String, _ name: String) throws -> String {
      let path = try folder.write(Array(seed.utf8), as: name)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      return path
    }
    // The seeds of the keys that stand in the sample.
    let gateway = try key("SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y", "g.nk")
    let worker = try key("SUAP77X57T57V6PY673PL5HT6LY7B37O5XWOX2XJ5DT6NZPE4PRODYCLOI", "w.nk")
    let fleet = try await TestFleet(accounts) { options, isGateway in
      options.seedFile = isGateway ? gateway : worker
      options.inboxPrefix = isGateway ? "_INBOX_gateway" : "_INBOX_worker"
      options.timeout = .seconds(2)
    }
    let helped = FakeModels()
    helped.tiles = FakeTiles()
    try await fleet.add("helped", helped)
    let source = PixelImage(width: 3, height: 2, pixels: [UInt8](repeating: 9, count: 18))
    let made = try await fleet.make(
      TestFleet.order(#"{"prompt": "fox", "n": 3, "seed": 1}"#, source: source))
    #expect(made.files.count == 3)
    fleet.models.tiles = FakeTiles()
    try await fleet.add()
    let helpers = try #require(helped.tiles?.helpers(of: "fake"))
    var free: [any TileHelper] = []
    while free.isEmpty { free = await helpers.free(for: "same") }
    let helper = free[0]
    #expect(await helper.upscaled(source, by: 2) == FakeTiles.enlarged(source, by: 2))
    var options = NATSOptions(url: fleet.url, name: "worker")
    (options.seedFile, options.inboxPrefix) = (worker, "_INBOX_worker")
    options.timeout = .milliseconds(300)
    let stream = JetStream(try await NATSConnection.connect(options))
    await #expect(throws: NATSError.self) {
      try await stream.publish(NATSMessage("jobs.gold.fake.0.X-0"))
    }
    await #expect(throws: NATSError.self) { try await stream.purge("jobs.>", of: "JOBS") }
    // An answer about tiles goes to an inbox of workers, and nowhere else.
    let layout = fleet.gateway.layout
    let before = try await layout.stream.info(of: ClusterNames.jobs).state.messages
    let strayCount = Mutex(0)
    let stray = try fleet.gateway.connection.subscribe("_INBOX_gateway.X") { _ in
      strayCount.withLock { $0 += 1 }
    }
    for reply in ["jobs.gold.fake.0.X-0", "_INBOX_gateway.X"] {
      try await stream.connection.publish(NATSMessage(ClusterNames.tileWork("one"), reply: reply))
    }
    // It comes after them.
    _ = try await stream.connection.request(NATSMessage(ClusterNames.tileWork("one")))
    #expect(try await layout.stream.info(of: ClusterNames.jobs).state.messages == before)
    #expect(strayCount.withLock { $0 } == 0)
    withExtendedLifetime(stray) {}
    stream.connection.close()
    await fleet.stop()
  }
}
