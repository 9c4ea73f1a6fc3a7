import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// Access control and limits.
@Suite(.serialized, .tags(.engine)) struct GateTests {
  private static func tokenFile(_ text: String = "0123456789abcdef-token") throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "token-\(UUID())").path
    _ = FileManager.default.createFile(
      atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
    return path
  }

  @Test("An address that others can reach needs a token")
  func open() async throws {
    let error = await #expect(throws: ServerSetupError.self) {
      try await RunningServer { $0.host = "0.0.0.0" }
    }
    #expect(error?.settings == [.tokenFile, .host])
  }

  @Test("With a token, all but the page and whether the server is well is closed without it")
  func token() async throws {
    let path = try Self.tokenFile()
    let server = try await RunningServer { $0.tokenFile = path }
    func status(_ path: String, _ headers: [String: String] = [:]) throws -> Int {
      try LoopbackClient.ask(server.port, "GET", path, headers: headers).status
    }
    for path in ["/v1/models", "/v1/status", "/metrics", "/v1/jobs/x", "/nothing"] {
      let answer = try LoopbackClient.ask(server.port, "GET", path)
      #expect(answer.status == 401 && answer.headers["www-authenticate"] == "Bearer")
    }
    for path in ["/", "/healthz", "/readyz", "/openapi.json"] {
      #expect(try status(path) == 200, "\(path)")
    }
    let right = "Bearer 0123456789abcdef-token"
    #expect(try status("/v1/models", ["Authorization": right]) == 200)
    for wrong in ["Bearer x", "Basic abc", right + "x", String(right.dropLast()), "Bearer "] {
      #expect(try status("/v1/models", ["Authorization": wrong]) == 401)
    }
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#,
      headers: ["Authorization": right])
    let socket = "/v1/streams/\(try #require(opened["id"] as? String))/socket"
    #expect(try TestSocket(port: server.port, path: socket).head.hasPrefix("HTTP/1.1 401"))
    #expect(
      try TestSocket(
        port: server.port, path: socket,
        headers: ["Sec-WebSocket-Protocol": "streamflow, bearer.0123456789abcdef-token"]
      ).head.hasPrefix("HTTP/1.1 101"))
    await server.stop()
  }

  @Test("Other names (DNS rebinding) and other pages are rejected, WebSockets too")
  func origins() async throws {
    let server = try await RunningServer {
      $0.hostNames = ["pictures.example"]
      $0.origins = ["https://friend.example"]
    }
    func answer(_ headers: [String: String]) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "GET", "/v1/models", headers: headers)
    }
    #expect(try answer(["Host": "evil.example"]).status == 421)
    #expect(try answer(["Host": "127.0.0.1.evil.example"]).status == 421)
    #expect(try answer(["Host": "localhost:\(server.port)"]).status == 200)
    #expect(try answer(["Host": "pictures.example"]).status == 200)
    #expect(try answer(["Origin": "https://evil.example"]).status == 403)
    #expect(try answer(["Origin": "null"]).status == 403)
    let own = try answer(["Host": "localhost:1", "Origin": "http://localhost:1"])
    #expect(own.status == 200 && own.headers["access-control-allow-origin"] == nil)
    let friend = try answer(["Origin": "https://friend.example"])
    #expect(friend.headers["access-control-allow-origin"] == "https://friend.example")
    let preflight = try LoopbackClient.ask(
      server.port, "OPTIONS", "/v1/images/generations",
      headers: ["Origin": "https://friend.example", "Access-Control-Request-Method": "POST"])
    #expect(preflight.status == 204)
    #expect(preflight.headers["access-control-allow-headers"]?.contains("Authorization") == true)
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    let socket = "/v1/streams/\(try #require(opened["id"] as? String))/socket"
    let foreign = try TestSocket(
      port: server.port, path: socket, headers: ["Origin": "https://evil.example"])
    #expect(foreign.head.hasPrefix("HTTP/1.1 403"), "\(foreign.head)")
    await server.stop()
  }

  @Test(
    "With a token browsers may send preflights without it, and pages of named origins read errors")
  func namedOrigin() async throws {
    let path = try Self.tokenFile()
    let server = try await RunningServer {
      $0.tokenFile = path
      $0.origins = ["https://friend.example"]
    }
    let friend = ["Origin": "https://friend.example"]
    func ask(
      _ method: String, _ path: String, _ headers: [String: String]
    ) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, method, path, headers: headers)
    }
    for path in ["/v1/images/generations", "/v1/jobs/x", "/nothing"] {
      let leave = try ask(
        "OPTIONS", path, friend.merging(["Access-Control-Request-Method": "DELETE"]) { $1 })
      #expect(leave.status == 204)
      #expect(leave.headers["access-control-allow-origin"] == "https://friend.example")
      #expect(leave.headers["access-control-allow-methods"]?.contains("DELETE") == true)
      #expect(leave.headers["access-control-allow-credentials"] == nil)
    }
    // What is no question of a browser needs the token, and so does everybody else's.
    #expect(try ask("OPTIONS", "/v1/models", friend).status == 401)
    #expect(
      try ask("OPTIONS", "/v1/models", ["Access-Control-Request-Method": "GET"]).status == 401)
    let foreign = try ask(
      "OPTIONS", "/v1/models",
      ["Origin": "https://evil.example", "Access-Control-Request-Method": "GET"])
    #expect(foreign.status == 403 && foreign.headers["access-control-allow-origin"] == nil)
    let bearer = friend.merging(["Authorization": "Bearer 0123456789abcdef-token"]) { $1 }
    for (method, path, headers, status) in [
      ("GET", "/v1/models", friend, 401), ("GET", "/v1/nothing", bearer, 404),
      ("PUT", "/v1/jobs", bearer, 405), ("POST", "/v1/jobs", bearer, 400),
      ("GET", "/v1/models", bearer, 200),
    ] {
      let answer = try ask(method, path, headers)
      #expect(answer.status == status)
      #expect(answer.headers["access-control-allow-origin"] == "https://friend.example", "\(path)")
      #expect(answer.headers["vary"] == "Origin")
    }
    await server.stop()
  }

  @Test("Bodies, headers, images and time have bounds, each with its own status")
  func bounds() async throws {
    let server = try await RunningServer {
      $0.limits.bodyByteCount = 10_000
      $0.limits.imagePixelCount = 100
      $0.limits.readTime = .seconds(1)
      $0.limits.requestTime = .seconds(1)
    }
    let path = "/v1/images/generations"
    let large = try LoopbackClient.ask(
      server.port, "POST", path, json: "{\"prompt\": \"\(String(repeating: "x", count: 20_000))\"}")
    #expect(large.status == 413 && large["error", "code"] as? String == "body_too_large")
    // Larger than it says, in chunks.
    let chunks = try LoopbackClient(port: server.port)
    chunks.send(
      "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n")
    for _ in 0..<30 { chunks.send("400\r\n\(String(repeating: "x", count: 1024))\r\n") }
    #expect(try chunks.answer().status == 413)
    let headers = try LoopbackClient.ask(
      server.port, "GET", "/healthz", headers: ["X-Long": String(repeating: "x", count: 40_000)])
    #expect(headers.status == 431 && headers["error", "code"] as? String == "headers_too_large")
    // On a connection that has been used as well.
    let used = try LoopbackClient(port: server.port)
    used.request("GET", "/healthz")
    #expect(try used.answer().status == 200)
    used.request("GET", "/healthz", headers: ["X-Long": String(repeating: "x", count: 40_000)])
    #expect(try used.answer().status == 431)
    // A body that never comes; a head that never ends.
    let slow = try LoopbackClient(port: server.port)
    slow.send(
      "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + "Content-Length: 100\r\n\r\n{")
    #expect(try slow.answer().status == 408)
    let silent = try LoopbackClient(port: server.port)
    silent.send("GET /healthz HTTP/1.1\r\nHo")
    #expect(String(decoding: silent.readAll(), as: UTF8.self).contains("200 OK") == false)
    let late = try LoopbackClient.ask(
      server.port, "POST", path, json: #"{"prompt": "x", "n": 16, "steps": 100}"#)
    #expect(late.status == 504 && late["error", "code"] as? String == "request_timeout")
    // A bomb: an image that says it is larger than it may be.
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    let id = try #require(opened["id"] as? String)
    let bomb =
      Array("\u{89}PNG\r\n\u{1a}\n".unicodeScalars.map { UInt8($0.value) })
      + [0, 0, 0, 13] + Array("IHDR".utf8) + [0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]
      + [0x4e, 0x8b, 0x49, 0xd5]
    let refused = try LoopbackClient.ask(
      server.port, "PUT", "/v1/streams/\(id)/frames", body: bomb)
    #expect(refused.status == 413 || refused.status == 400, "\(refused.text)")
    #expect(try LoopbackClient.ask(server.port, "GET", "/healthz").status == 200)
    await server.stop()
  }

  @Test("Invalid HTTP is answered or closed, and the server continues")
  func hostile() async throws {
    let server = try await RunningServer.shared()
    let form = "Content-Type: multipart/form-data; boundary=x\r\n"
    let hostile = [
      "", "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{0}\u{1}\u{2}",
      "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        + "Content-Length: 6\r\n\r\nhello",
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\n\(form)Content-Length: 4\r\n\r\n--x\r",
      "POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\n\(form)Content-Length: 900\r\n\r\n--x",
      "GET /v1/streams/x/socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        + "Connection: upgrade\r\n\r\n",
      "GET " + String(repeating: "/", count: 100_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\n" + String(repeating: "A: b\r\n", count: 5000) + "\r\n",
      "GET /%00%ff%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    for text in hostile {
      let client = try LoopbackClient(port: server.port, timeout: 5)
      client.send(text)
      client.finishSending()
      let answer = String(decoding: client.readAll(), as: UTF8.self)
      #expect(
        answer.isEmpty || answer.hasPrefix("HTTP/1.1 4") || answer.hasPrefix("HTTP/1.1 200")
          || answer.hasPrefix("HTTP/1.0 4"), "\(text.prefix(60)): \(answer.prefix(200))")
    }
    let nested = String(repeating: "[", count: 10_000)
    let deep = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: "{\"prompt\": \(nested)}")
    #expect(deep.status == 400)
    #expect(try LoopbackClient.ask(server.port, "GET", "/healthz").text == "ok\n")
  }

  @Test("A client that reads nothing is disconnected")
  func stuckReader() async throws {
    let server = try await RunningServer {
      $0.limits.writeTime = .seconds(1)
      $0.limits.connectionCountPerAddress = 2
    }
    // With two admitted, a third is refused.
    func admitted() throws -> LoopbackClient {
      while true {
        let client = try LoopbackClient(port: server.port)
        client.request("GET", "/healthz")
        if try client.answer().status == 200 { return client }
      }
    }
    let (client, other) = (try admitted(), try admitted())
    // Far more than the system buffers for a connection: pages in sequence, unread.
    for _ in 0..<2000 { client.request("GET", "/page.css") }
    // It writes until it is cut, which makes room; what comes after that is lost.
    while try LoopbackClient.ask(server.port, "GET", "/healthz").status == 429 {
      try await Task.sleep(for: .milliseconds(20))
    }
    var byteCount = 0
    while true {
      let bytes = client.read()
      if bytes.isEmpty { break }
      byteCount += bytes.count
    }
    #expect(byteCount < 2000 * PackageResources.page_css.count)
    other.request("GET", "/healthz")
    #expect(try other.answer().status == 200)
    await server.stop()
  }

  @Test("Two requests at once on one connection are answered one at a time")
  func pipelining() async throws {
    let server = try await RunningServer.shared()
    let client = try LoopbackClient(port: server.port)
    client.request("GET", "/healthz")
    client.request("GET", "/readyz")
    #expect(try client.answer().text == "ok\n")
    #expect(try client.answer().text == "ready\n")
  }
}
