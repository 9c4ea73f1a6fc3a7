import FlowTestSupport
import Foundation
import HTTPTypes
import Synchronization
import Testing

@testable import FlowServer

/// Live streams that a gateway relays to workers.
@Suite(.serialized, .tags(.engine), .timeLimit(.minutes(2))) struct RelayedStreamTests {
  private static let opening = #"{"prompt": "a fox", "steps": 2, "guidance": "none", "stages": 2}"#

  @Test("A full worker's stream opens at the next one; a full fleet says so; status counts all")
  func placement() async throws {
    let first = try await RunningEndpoint(worker: "first") { $0.limits.streamCount = 1 }
    let second = try await RunningEndpoint(worker: "second") { $0.limits.streamCount = 1 }
    let gone = LiveHost(worker: "gone", host: "127.0.0.1", port: 1, token: "sixteen-letters-")
    let placement = FakePlacement([first, second])
    placement.hosts.withLock { $0.insert(gone, at: 0) }
    let server = try await RunningServer(service: placement)
    func open() throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "POST", "/v1/streams", json: Self.opening)
    }
    let ids = try [open(), open()].map { try #require($0["id"] as? String, "\($0.text)") }
    #expect(ids.map(PlacedStream.worker) == ["first", "second"])
    let third = try open()
    #expect(third.status == 429 && third["error", "code"] as? String == "too_many_streams")
    let status = try LoopbackClient.ask(server.port, "GET", "/v1/status")
    #expect((status["streams"] as? [Any])?.count == 2 && !status.text.contains(ids[0]))
    #expect(
      try LoopbackClient.ask(server.port, "GET", "/metrics").text
        .contains("streamflow_live_streams 2"))
    // Another gateway finds it by its id.
    let other = try await RunningServer(service: placement)
    #expect(try LoopbackClient.ask(other.port, "GET", "/v1/streams/\(ids[1])").status == 200)
    #expect(try LoopbackClient.ask(other.port, "DELETE", "/v1/streams/\(ids[1])").status == 204)
    #expect(try open()["id"] as? String != nil)
    await other.stop()
    await server.stop()
    await first.stop()
    await second.stop()
  }

  @Test("The gateway's limits are those of its streams, also of later changes")
  func limits() async throws {
    let worker = try await RunningEndpoint()
    let server = try await RunningServer(service: FakePlacement([worker])) {
      $0.limits.stepCount = 3
      $0.limits.allowedSizes = [(64, 64)]
      $0.limits.streamCount = 1
    }
    func open(_ more: String) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(
        server.port, "POST", "/v1/streams",
        json: #"{"prompt": "a fox", "guidance": "none", "stages": 2\#(more)}"#)
    }
    let steps = try open(#", "steps": 4"#)
    #expect(steps.status == 400 && steps["error", "param"] as? String == "steps", "\(steps.text)")
    let size = try open(#", "steps": 2, "size": "128x128""#)
    #expect(size.status == 400 && size["error", "param"] as? String == "size", "\(size.text)")
    let opened = try open(#", "steps": 2"#)
    let id = try #require(opened["id"] as? String, "\(opened.text)")
    let second = try open(", \"steps\": 2")
    #expect(second.status == 429 && second["error", "code"] as? String == "too_many_streams")
    let changed = try LoopbackClient.ask(
      server.port, "PATCH", "/v1/streams/\(id)", json: #"{"steps": 4}"#)
    #expect(changed.status == 400 && changed["error", "param"] as? String == "steps")
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    socket.send(opcode: 1, Array(#"{"steps": 4}"#.utf8))
    #expect(try socket.next { $0.contains("\"error\"") }.contains("steps"))
    await server.stop()
    await worker.stop()
  }

  @Test("A worker that ends closes its sockets with a reason, and its streams are unknown")
  func ending() async throws {
    let worker = try await RunningEndpoint()
    let placement = FakePlacement([worker])
    let server = try await RunningServer(service: placement)
    let opened = try LoopbackClient.ask(server.port, "POST", "/v1/streams", json: Self.opening)
    let id = try #require(opened["id"] as? String, "\(opened.text)")
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    _ = try socket.next { $0.contains("\"statistics\"") }
    await worker.stop()
    // Going away, from the worker itself or for it.
    #expect(try socket.nextFrame(opcode: 8).prefix(2) == [0x03, 0xe9])
    let answer = try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)")
    #expect(answer.status == 502 && answer["error", "code"] as? String == "worker_unreachable")
    let motion = try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)/mjpeg")
    #expect(motion.status == 502)
    let frame = try LoopbackClient.ask(
      server.port, "PUT", "/v1/streams/\(id)/frames", body: [1, 2, 3])
    #expect(frame.status == 502)
    placement.hosts.withLock { $0 = [] }
    #expect(try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)").status == 404)
    let none = try LoopbackClient.ask(server.port, "POST", "/v1/streams", json: Self.opening)
    #expect(none.status == 501 && none["error", "code"] as? String == "not_supported")
    await server.stop()
  }

  @Test("A gateway that stops closes its sockets, and its worker's streams continue")
  func stopping() async throws {
    let worker = try await RunningEndpoint()
    let server = try await RunningServer(service: FakePlacement([worker]))
    let opened = try LoopbackClient.ask(server.port, "POST", "/v1/streams", json: Self.opening)
    let id = try #require(opened["id"] as? String, "\(opened.text)")
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    _ = try socket.next { $0.contains("\"statistics\"") }
    let viewer = try LoopbackClient(port: server.port)
    viewer.request("GET", "/v1/streams/\(id)/mjpeg")
    #expect(String(decoding: viewer.read(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    async let stop: Void = server.stop()
    #expect(try socket.nextFrame(opcode: 8).prefix(2) == [0x03, 0xe9])
    socket.send(opcode: 8, [0x03, 0xe9])
    _ = viewer.readAll()
    await stop
    #expect(await worker.endpoint.reports().count == 1)
    await worker.stop()
  }

  @Test("A worker refuses requests without its secret")
  func secret() async throws {
    let worker = try await RunningEndpoint()
    let port = worker.host.port
    #expect(try LoopbackClient.ask(port, "GET", "/healthz").status == 200)
    for headers in [[:], ["Authorization": "Bearer 0123456789abcdef"]] {
      let answer = try LoopbackClient.ask(
        port, "POST", "/v1/streams", headers: headers, body: Array(Self.opening.utf8))
      #expect(answer.status == 401)
    }
    #expect(!"\(worker.host)".contains(worker.host.token))
    // Nothing but live streams is there.
    let images = try LoopbackClient.ask(
      port, "POST", "/v1/images/generations",
      headers: ["Authorization": "Bearer \(worker.host.token)"], body: Array("{}".utf8))
    #expect(images.status == 404)
    await worker.stop()
  }

  @Test(
    "Ids of another form are not found",
    arguments: [
      "x", "stream_0.", "stream_0.!!", "stream_0.Z29uZQ", "..%2f..%2fhealthz.dw",
      "stream_0.d29ya2Vy/..", "..%2fhealthz" + PlacedStream.idSuffix(worker: "worker/1 of tests"),
    ])
  func ids(id: String) async throws {
    let server = try await RelayedServer.shared()
    for path in ["", "/mjpeg", "/socket"] {
      let answer = try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)\(path)")
      #expect(answer.status == 404, "\(path): \(answer.text)")
    }
  }

  @Test(
    "A worker's name is in the id, whichever letters it has",
    arguments: ["a", "ß/+?", "host-1.of-2"])
  func names(worker: String) {
    let id = "stream_00ff" + PlacedStream.idSuffix(worker: worker)
    #expect(PlacedStream.worker(of: id) == worker)
    #expect(id.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "+") })
    #expect(PlacedStream.worker(of: "stream_00ff") == nil)
  }
}
