import FlowTestSupport
import Foundation
import Logging
import Testing

@testable import FlowServer

/// What connections may do: how long a request takes to come in, in which order answers go out, and
/// when a connection ends.
@Suite(.serialized, .tags(.engine)) struct ConnectionTests {
  private static let token = "0123456789abcdef-token"

  /// A server with short times and a token.
  private static func server(log: CollectedLog? = nil) async throws -> RunningServer {
    let path = FileManager.default.temporaryDirectory.appending(path: "token-\(UUID())").path
    _ = FileManager.default.createFile(
      atPath: path, contents: Data(token.utf8), attributes: [.posixPermissions: 0o600])
    return try await RunningServer(log: log) {
      $0.tokenFile = path
      $0.limits.readTime = .seconds(1)
      $0.limits.lingerTime = .milliseconds(500)
      $0.limits.jsonByteCount = 10_000
    }
  }

  private static let authorization = "Host: localhost\r\nAuthorization: Bearer \(token)\r\n"

  private static func answers(_ bytes: [UInt8]) -> [String] {
    String(decoding: bytes, as: UTF8.self).components(separatedBy: "HTTP/1.1 ").dropFirst()
      .map { String($0.prefix(3)) }
  }

  @Test("A request that drips in is ended, whichever route it is for, answered or not")
  func drip() async throws {
    let server = try await Self.server()
    let json = "Content-Type: application/json\r\n"
    let attacks = [
      // Refused before the body is read: no token, too large, no such path, a wrong method.
      (401, "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"),
      (
        413,
        "POST /v1/jobs HTTP/1.1\r\n\(Self.authorization)\(json)Content-Length: 99999999\r\n\r\n"
      ),
      (404, "POST /nothing HTTP/1.1\r\n\(Self.authorization)Content-Length: 999\r\n\r\n"),
      (405, "PUT /healthz HTTP/1.1\r\n\(Self.authorization)Content-Length: 999\r\n\r\n"),
      // Routes that read no body.
      (200, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"),
      (200, "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"),
      // Routes that wait for their body.
      (408, "POST /v1/jobs HTTP/1.1\r\n\(Self.authorization)\(json)Content-Length: 999\r\n\r\n{"),
      (
        408,
        "POST /v1/jobs HTTP/1.1\r\n\(Self.authorization)\(json)"
          + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
      ),
    ]
    for (status, text) in attacks {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.send(text)
      let answer = try client.answer()
      #expect(answer.status == status && answer.headers["connection"] == "close", "\(text)")
      client.send("1")
      #expect(try LoopbackClient.ask(server.port, "GET", "/healthz").status == 200)
      client.send("1")
      #expect(client.isClosed(), "\(text)")
    }
    await server.stop()
  }

  @Test("An answer that streams does not keep a request open that never ends")
  func streamedAnswer() async throws {
    let server = try await Self.server()
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#,
      headers: ["Authorization": "Bearer \(Self.token)"])
    let id = try #require(opened["id"] as? String)
    let client = try LoopbackClient(port: server.port, timeout: 20)
    client.send(
      "GET /v1/streams/\(id)/mjpeg HTTP/1.1\r\n\(Self.authorization)Content-Length: 9\r\n\r\n1")
    #expect(String(decoding: client.read(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    #expect(client.isClosed())
    await server.stop()
  }

  @Test(
    "Connections of one address are limited; those beyond the limit get 429, the others continue")
  func perAddress() async throws {
    let server = try await RunningServer { $0.limits.connectionCountPerAddress = 8 }
    var clients: [LoopbackClient] = []
    // Each is counted by its own event loop, and so is the end of the connections before it: it is
    // one of the eight once it has an answer.
    while clients.count < 8 {
      let client = try LoopbackClient(port: server.port, timeout: 30)
      client.request("GET", "/healthz")
      let status = try client.answer().status
      if status == 200 { clients.append(client) }
      #expect(status == 200 || status == 429)
    }
    let first = try #require(clients.first)
    let extra = try LoopbackClient(port: server.port, timeout: 30)
    let refusal = try extra.answer()
    #expect(refusal.status == 429 && refusal.headers["retry-after"] == "1")
    #expect(refusal["error", "code"] as? String == "too_many_connections")
    #expect(extra.isClosed())
    first.request("GET", "/healthz")
    #expect(try first.answer().status == 200)
    // A place is free again as soon as a connection has gone.
    clients.removeAll()
    while try LoopbackClient.ask(server.port, "GET", "/healthz").status == 429 {}
    await server.stop()
  }

  @Test("Connections are counted by address, those of proxies not at all")
  func counts() throws {
    let counts = ConnectionCounts(limit: 2, proxies: try TrustedProxies(["10.0.0.0/8"]))
    let first = try #require(counts.enter("192.0.2.1"))
    #expect(counts.enter("192.0.2.1") == first && counts.enter("192.0.2.1") == nil)
    #expect(counts.enter("::ffff:192.0.2.1") == nil)
    #expect(counts.enter("192.0.2.2") != nil)
    counts.leave(first)
    #expect(counts.enter("192.0.2.1") == first && counts.enter("192.0.2.1") == nil)
    // An IPv6 network of 64 bits is one client.
    #expect(counts.enter("2001:db8::1") != nil && counts.enter("2001:db8::2:2") != nil)
    #expect(counts.enter("2001:db8::3") == nil && counts.enter("2001:db8:0:1::1") != nil)
    for _ in 0..<10 { #expect(counts.enter("10.1.2.3") == .uncounted) }
    #expect(counts.enter(nil) == .uncounted)
  }

  // MARK: - One response per request, in order

  @Test(
    "Invalid HTTP is answered once, after the answers before it, and the connection ends",
    arguments: [
      "GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nA\u{1}: b\r\n\r\n",
    ])
  func pipelinedWithWrong(wrong: String) async throws {
    let log = CollectedLog()
    let server = try await RunningServer(log: log)
    let generation = #"{"prompt": "a fox", "steps": 1}"#
    for first in [
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + "Content-Length: \(generation.utf8.count)\r\n\r\n\(generation)",
    ] {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.send(first + wrong + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let answers = Self.answers(client.readAll())
      #expect(answers == [first.hasPrefix("GET") ? "200" : "202", "400"], "\(wrong)")
    }
    #expect(!log.lines.contains { $0.level >= .warning })
    #expect(!log.lines.contains { $0.text.contains("GARBAGE") || $0.text.contains("A\u{1}") })
    await server.stop()
  }

  @Test("A body that breaks off or is framed wrongly is answered once with 400")
  func wrongBody() async throws {
    let log = CollectedLog()
    let server = try await RunningServer(log: log)
    let head =
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\n"
      + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in ["ZZZ\r\n", "2\r\n{}BAD", "-1\r\n", "1\r\n{\r\nZZZ"] {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.send(head + body + "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let bytes = client.readAll()
      #expect(Self.answers(bytes) == ["400"], "\(body)")
      #expect(String(decoding: bytes, as: UTF8.self).contains("bad_request"))
    }
    // The client says that nothing more comes, in the middle of its body.
    let cut = try LoopbackClient(port: server.port, timeout: 20)
    cut.send(head + "5\r\n{")
    cut.finishSending()
    #expect(Self.answers(cut.readAll()) == ["400"])
    #expect(!log.lines.contains { $0.level >= .warning })
    #expect(!log.lines.contains { $0.text.contains("ZZZ") })
    await server.stop()
  }

  @Test("Requests that come at once are answered in order, bodies among them")
  func order() async throws {
    let server = try await RunningServer.shared()
    let client = try LoopbackClient(port: server.port, timeout: 20)
    let wrong = #"{"prompt": 1}"#
    for number in 0..<200 {
      if number % 3 == 0 {
        client.request(
          "POST", "/v1/jobs", headers: ["Content-Type": "application/json"],
          body: Array(wrong.utf8))
      } else {
        client.request("GET", number % 3 == 1 ? "/healthz" : "/v1/nothing")
      }
    }
    for number in 0..<200 {
      #expect(try client.answer().status == [400, 200, 404][number % 3], "\(number)")
    }
  }

  @Test("A client that uploads what is refused reads the answer before the connection ends")
  func refusedUpload() async throws {
    let server = try await RunningServer { $0.limits.bodyByteCount = 100_000 }
    for _ in 0..<10 {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.request(
        "PUT", "/v1/streams/x/frames", body: Array(repeating: 1, count: 8 << 20))
      #expect(try client.answer().status == 404)
    }
    await server.stop()
  }

  // MARK: - Closing connections

  @Test(
    "A connection that cannot be used again is closed after its answer",
    arguments: [
      (200, "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n"),
      (200, "GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"),
      (200, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n"),
      (200, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: TE, close\r\n\r\n"),
      (
        // As Java's client asks for HTTP/2.
        200,
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
          + "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\n"
      ),
      (400, "GET /healthz HTTP/1.1\r\n\r\n"),
      (421, "GET /healthz HTTP/1.0\r\n\r\n"),
      (400, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
      (417, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: the-unexpected\r\n\r\n"),
      (
        501,
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n"
      ),
      (
        501,
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x\r\n"
          + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
      ),
      (
        400,
        "POST /v1/jobs HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
      ),
      (
        413,
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          + "Content-Length: 9223372036854775808\r\n\r\n"
      ),
      (
        400,
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          + "Content-Length: 18446744073709551616\r\n\r\n"
      ),
      (404, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ])
  func ends(status: Int, request: String) async throws {
    let server = try await RunningServer.shared()
    // Much less than the time that an idle connection has.
    let client = try LoopbackClient(port: server.port, timeout: 20)
    client.send(request)
    let answer = try client.answer()
    #expect(answer.status == status, "\(request)")
    #expect(answer.headers["connection"] == "close")
    #expect(answer.headers["transfer-encoding"] == nil)
    #expect(client.isClosed())
  }

  @Test("What follows a request for another protocol is not kept")
  func pourAfterUpgrade() async throws {
    let server = try await RunningServer.shared()
    let client = try LoopbackClient(port: server.port, timeout: 20)
    client.send(
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    let block = [UInt8](repeating: 0x41, count: 1 << 16)
    for _ in 0..<64 { client.send(block) }
    #expect(client.isClosed())
    #expect(try LoopbackClient.ask(server.port, "GET", "/healthz").status == 200)
  }
}
