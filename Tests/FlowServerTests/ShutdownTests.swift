import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// Requests that still wait when the server's grace has passed.
@Suite(.tags(.engine)) struct ShutdownTests {
  private static let large = #"{"prompt": "a fox", "n": 16, "steps": 100, "stream": STREAM}"#

  /// Starts a request, waits until it is in flight, and stops the server meanwhile.
  private static func interrupted(stream: Bool) async throws -> (LoopbackClient, RunningServer) {
    let server = try await RunningServer { $0.grace = .milliseconds(100) }
    let client = try LoopbackClient(port: server.port)
    client.request(
      "POST", "/v1/images/generations", headers: ["Content-Type": "application/json"],
      body: Array(large.replacing("STREAM", with: "\(stream)").utf8))
    let port = server.port
    #expect(
      try await eventually {
        try LoopbackClient.ask(port, "GET", "/v1/status")["queue", "requests"] as? Int == 1
      })
    return (client, server)
  }

  @Test("A request that waits is answered with 503 and a reason")
  func reply() async throws {
    let (client, server) = try await Self.interrupted(stream: false)
    await server.stop()
    let answer = try client.answer()
    #expect(answer.status == 503, "\(answer.text)")
    #expect(answer["error", "code"] as? String == "shutting_down")
    #expect(answer.headers["retry-after"] == "10")
    #expect(answer.headers["content-type"] == "application/json")
  }

  @Test("A stream of events ends with an error event")
  func stream() async throws {
    let (client, server) = try await Self.interrupted(stream: true)
    #expect(String(decoding: client.read(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    await server.stop()
    let text = String(decoding: client.readAll(), as: UTF8.self)
    let last = try #require(text.components(separatedBy: "event: ").last)
    #expect(last.hasPrefix("error\n") && last.contains("shutting_down"), "\(text.suffix(500))")
    #expect(text.hasSuffix("\n\n\r\n0\r\n\r\n"))
  }

  @Test("Followers of a job get the end of the job, or an error event if it continues later")
  func followers() async throws {
    let folder = try TemporaryFolder()
    for (state, event) in [(nil, "done"), (folder.path, "error")] {
      let server = try await RunningServer {
        $0.grace = .milliseconds(100)
        $0.stateFolder = state
      }
      let answer = try LoopbackClient.ask(
        server.port, "POST", "/v1/jobs", json: #"{"prompt": "a fox", "n": 500, "steps": 50}"#)
      let client = try LoopbackClient(port: server.port)
      client.request("GET", "/v1/jobs/\(answer["id"] as? String ?? "")/events")
      #expect(String(decoding: client.read(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
      await server.stop()
      let text = String(decoding: client.readAll(), as: UTF8.self)
      #expect(text.contains("event: \(event)\n"), "\(text.suffix(500))")
      #expect(text.hasSuffix("0\r\n\r\n"))
    }
  }

  @Test("Work that cannot be interrupted does not delay the end of a wait")
  func stopSignal() async throws {
    let signal = StopSignal()
    #expect(try await signal.unlessStopped { 5 } == 5)
    await #expect(throws: ServerSetupError.self) {
      try await signal.unlessStopped { throw ServerSetupError("no") }
    }
    let (hold, release) = AsyncStream.makeStream(of: Void.self)
    func held() async throws {
      // An unstructured task is not cancelled with its caller.
      try await signal.unlessStopped { await Task { for await _ in hold {} }.value }
    }
    let cancelled = Task { try await held() }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    let waiting = Task { try await held() }
    try await Task.sleep(for: .milliseconds(20))
    signal.stop()
    let error = await #expect(throws: ServerError.self) { try await waiting.value }
    #expect(error?.code == "shutting_down")
    await #expect(throws: ServerError.self) { try await held() }
    release.finish()
  }
}
