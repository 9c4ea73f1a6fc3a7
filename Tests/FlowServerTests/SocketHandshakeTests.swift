import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// WebSockets that break RFC 6455.
@Suite(.serialized, .tags(.engine)) struct SocketHandshakeTests {
  private static let handshake = [
    "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  ]

  private static func open(_ port: Int) throws -> String {
    let answer = try LoopbackClient.ask(
      port, "POST", "/v1/streams", json: #"{"prompt": "a fox", "stages": 1}"#)
    return try #require(answer["id"] as? String, "\(answer.text)")
  }

  @Test("A handshake that is not complete is answered as HTTP, with what is missing")
  func handshakes() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.open(server.port)
    for (method, changes, status) in [
      ("POST", [:], 405), ("PUT", [:], 405), ("GET", ["Sec-WebSocket-Version": "8"], 426),
      ("GET", ["Sec-WebSocket-Version": ""], 426), ("GET", ["Sec-WebSocket-Version": "13, 8"], 426),
      ("GET", ["Sec-WebSocket-Key": "short"], 400), ("GET", ["Sec-WebSocket-Key": ""], 400),
      ("GET", ["Connection": "keep-alive"], 400), ("GET", ["Upgrade": "h2c"], 400),
      ("GET", ["Content-Length": "3"], 400),
    ] as [(String, [String: String], Int)] {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.request(
        method, "/v1/streams/\(id)/socket", headers: Self.handshake.merging(changes) { $1 })
      let answer = try client.answer()
      #expect(answer.status == status, "\(method) \(changes): \(answer.text)")
      #expect(answer.headers["upgrade"] == (status == 426 ? "websocket" : nil))
      #expect(answer.headers["sec-websocket-version"] == (status == 426 ? "13" : nil))
      #expect(client.isClosed())
    }
    let plain = try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)/socket")
    #expect(plain.status == 426 && plain.headers["sec-websocket-version"] == "13")
    _ = try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)")
  }

  /// Frames that a client must not send, and the codes that they end a WebSocket with.
  private static let violations: [(code: Int, bytes: [UInt8])] = [
    (1002, [0x81, 0x01, 0x41]),  // not masked
    (1002, [0xC1, 0x80, 0, 0, 0, 0]), (1002, [0xA1, 0x80, 0, 0, 0, 0]),  // reserved bits
    (1002, [0x91, 0x80, 0, 0, 0, 0]), (1002, [0x83, 0x80, 0, 0, 0, 0]),  // reserved opcodes
    (1002, [0x8B, 0x80, 0, 0, 0, 0]),
    (1002, [0x09, 0x80, 0, 0, 0, 0]),  // a fragment of a ping
    (1002, [0x89, 0xFE, 0x01, 0x00, 0, 0, 0, 0]),  // a ping too long
    (1002, [0x80, 0x81, 0, 0, 0, 0, 0x41]),  // the end of nothing
    (1002, [0x01, 0x81, 0, 0, 0, 0, 0x41, 0x81, 0x81, 0, 0, 0, 0, 0x41]),  // begun twice
    (1009, [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]),  // too large
    (1007, [0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]),  // a text that is no UTF-8
  ]

  @Test("A frame that may not be sent ends its WebSocket with a code that says why, and no other")
  func frames() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.open(server.port)
    let path = "/v1/streams/\(id)/socket"
    let other = try TestSocket(port: server.port, path: path)
    for (code, bytes) in Self.violations {
      let socket = try TestSocket(port: server.port, path: path)
      #expect(socket.head.hasPrefix("HTTP/1.1 101"), "\(socket.head)")
      socket.client.send(bytes)
      #expect(
        try socket.nextFrame(opcode: 8) == [UInt8(code >> 8), UInt8(code & 255)], "\(bytes)")
      #expect(socket.client.isClosed())
    }
    other.send(opcode: 9, [7])
    #expect(try other.nextFrame(opcode: 10) == [7])
    #expect(try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)").status == 200)
    _ = try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)")
  }

  @Test("Frames that come with the handshake are taken after it")
  func early() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.open(server.port)
    let client = try LoopbackClient(port: server.port, timeout: 20)
    let head =
      "GET /v1/streams/\(id)/socket HTTP/1.1\r\n"
      + Self.handshake.map { "\($0): \($1)\r\n" }.joined() + "\r\n"
    client.send(Array(head.utf8) + [0x89, 0x82, 0, 0, 0, 0, 0x48, 0x49])
    var bytes: [UInt8] = []
    while !bytes.contains(subsequence: [0x8A, 0x02, 0x48, 0x49]) {
      let more = client.read()
      guard !more.isEmpty else { break }
      bytes += more
    }
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 101"))
    #expect(bytes.contains(subsequence: [0x8A, 0x02, 0x48, 0x49]))
    _ = try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)")
  }

  @Test("Settings nested too deeply are refused in words, and the socket continues")
  func deepSettings() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.open(server.port)
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    socket.send(opcode: 1, Array(repeating: UInt8(ascii: "["), count: 1_000_000))
    #expect(try socket.next { $0.contains("\"error\"") }.contains("json_too_complex"))
    socket.send(
      opcode: 1,
      Array(repeating: UInt8(ascii: " "), count: ServerLimits().jsonByteCount + 1))
    #expect(try socket.next { $0.contains("\"error\"") }.contains("body_too_large"))
    socket.send(opcode: 1, Array(#"{"prompt": "sushi"}"#.utf8))
    #expect(try socket.next { $0.contains("\"settings\"") }.contains("sushi"))
    _ = try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)")
  }
}
