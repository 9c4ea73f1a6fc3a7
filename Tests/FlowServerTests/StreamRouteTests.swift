import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

@Suite(.serialized, .tags(.engine)) struct StreamRouteTests {
  private static func open(_ port: Int, _ more: String = "") throws -> String {
    let answer = try LoopbackClient.ask(
      port, "POST", "/v1/streams",
      json: #"{"prompt": "a fox", "steps": 2, "guidance": "none", "stages": 2\#(more)}"#)
    #expect(answer.status == 201, "\(answer.text)")
    #expect(answer["settings", "size"] as? String == "64x64" && answer["rows"] as? Int == 2)
    return try #require(answer["id"] as? String)
  }

  private static func picture(_ shade: Int) -> [UInt8] {
    let pixels = (0..<32 * 32 * 3).map { UInt8(($0 * shade) % 256) }
    return (try? PixelImage(width: 32, height: 32, pixels: pixels).png()) ?? []
  }

  private static func close(_ port: Int, _ id: String) throws {
    #expect(try LoopbackClient.ask(port, "DELETE", "/v1/streams/\(id)").status == 204)
    #expect(try LoopbackClient.ask(port, "GET", "/v1/streams/\(id)").status == 404)
  }

  @Test(
    "Frames that are put are images in the motion JPEG; a frame like the one before is not",
    arguments: StreamHost.allCases)
  func motion(host: StreamHost) async throws {
    let server = try await host.server()
    let id = try Self.open(server.port, #", "similar": 0.5"#)
    let viewer = try LoopbackClient(port: server.port)
    viewer.request("GET", "/v1/streams/\(id)/mjpeg")
    // Once the head is there, no image is missed.
    var bytes = viewer.read()
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    func put(_ shade: Int) throws -> Int {
      try LoopbackClient.ask(
        server.port, "PUT", "/v1/streams/\(id)/frames", headers: ["Content-Type": "image/png"],
        body: Self.picture(shade)
      ).status
    }
    // The chance of the filter is seeded: twins are skipped.
    #expect(try put(3) == 202)
    #expect(try put(3) == 204)
    while !bytes.contains(subsequence: Array("\r\n\r\n".utf8) + [0xff, 0xd8]) {
      let more = viewer.read()
      try #require(!more.isEmpty)
      bytes += more
    }
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text.contains("multipart/x-mixed-replace; boundary=frame"))
    #expect(text.contains("--frame\r\nContent-Type: image/jpeg\r\n"))
    let bad = try LoopbackClient.ask(
      server.port, "PUT", "/v1/streams/\(id)/frames", body: Array("no image".utf8))
    #expect(bad.status == 415 || bad.status == 400, "\(bad.text)")
    try Self.close(server.port, id)
  }

  @Test("Live streams count in the status and in the metrics")
  func counting() async throws {
    let server = try await RunningServer { _ in }
    let id = try Self.open(server.port)
    func status() throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "GET", "/v1/status")
    }
    for shade in 1...3 {
      let answer = try LoopbackClient.ask(
        server.port, "PUT", "/v1/streams/\(id)/frames", body: Self.picture(shade))
      #expect(answer.status == 202, "\(answer.text)")
    }
    while try status()["streams", "0", "made"] as? Int != 3 {
      try await Task.sleep(for: .milliseconds(5))
    }
    // An image that is made is counted a moment later.
    while try status()["pictures"] as? Int != 3 { try await Task.sleep(for: .milliseconds(5)) }
    let after = try status()
    #expect(after["streams", "0", "in_flight"] as? Int == 0)
    let recent = after["throughput"] as? [[String: Int]] ?? []
    #expect(recent.reduce(0) { $0 + ($1["pictures"] ?? 0) } == 3)
    let text = try LoopbackClient.ask(server.port, "GET", "/metrics").text
    #expect(text.contains("streamflow_pictures_total{source=\"live\"} 3\n"))
    #expect(text.contains("streamflow_pictures_total{source=\"request\"} 0\n"))
    await server.stop()
  }

  @Test(
    "Settings are changed while it runs; what cannot be is reported, and changes nothing",
    arguments: StreamHost.allCases)
  func changes(host: StreamHost) async throws {
    let server = try await host.server()
    let id = try Self.open(server.port)
    let changed = try LoopbackClient.ask(
      server.port, "PATCH", "/v1/streams/\(id)",
      json: #"{"prompt": "sushi", "strength": 0.25, "guidance": "full", "guidance_scale": 3}"#)
    #expect(changed.status == 200, "\(changed.text)")
    #expect(changed["settings", "prompt"] as? String == "sushi")
    #expect(changed["settings", "guidance_scale"] as? Double == 3)
    // A scale alone means what it means to the model; an empty blend takes one away.
    func settings(_ json: String) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "PATCH", "/v1/streams/\(id)", json: json)
    }
    #expect(try settings(#"{"guidance": "none"}"#)["settings", "guidance"] as? String == "none")
    let scaled = try settings(#"{"guidance_scale": 2, "blend": [{"prompt": "b", "weight": 0.5}]}"#)
    #expect(scaled["settings", "guidance"] as? String == "full")
    #expect((scaled["settings", "blend"] as? [Any])?.count == 1)
    #expect((try settings(#"{"blend": []}"#)["settings", "blend"] as? [Any])?.isEmpty == true)
    let wrong = try LoopbackClient.ask(
      server.port, "PATCH", "/v1/streams/\(id)", json: #"{"strength": 0}"#)
    #expect(wrong.status == 400 && wrong["error", "param"] as? String == "strength")
    let now = try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)")
    #expect(now["settings", "strength"] as? Double == 0.25)
    try Self.close(server.port, id)
  }

  @Test(
    "What a stream reuses, and how its images are enlarged, changes while it runs",
    arguments: StreamHost.allCases)
  func reuse(host: StreamHost) async throws {
    let server = try await host.server()
    let id = try Self.open(server.port, #", "hold_still": true, "upscale": 2"#)
    func settings(_ json: String) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "PATCH", "/v1/streams/\(id)", json: json)
    }
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    socket.send(opcode: 2, Self.picture(5))
    _ = try socket.next { $0.contains("\"made\"") }
    #expect(try PixelImage(picture: socket.nextBinary()).width == 128)
    // The same again is skipped.
    socket.send(opcode: 2, Self.picture(5))
    _ = try socket.next { $0.contains("\"repeated\"") }
    let changed = try settings(
      #"{"hold_still": false, "change_threshold": 0.1, "region_margin": 16, "latent_blend": 0.5, "#
        + #""motion_response": 0.1, "upscale": null}"#)
    #expect(changed.status == 200, "\(changed.text)")
    #expect(changed["settings", "hold_still"] as? Bool == false)
    #expect(changed["settings", "change_threshold"] as? Double == 0.1)
    #expect(changed["settings", "region_margin"] as? Int == 16)
    #expect(changed["settings", "latent_blend"] as? Double == 0.5)
    #expect(changed["settings", "motion_response"] as? Double == 0.1)
    #expect(changed["settings", "upscale"] == nil)
    socket.send(opcode: 2, Self.picture(9))
    _ = try socket.next { $0.contains("\"made\"") }
    #expect(try PixelImage(picture: socket.nextBinary()).width == 64)
    for (json, name) in [
      (#"{"region_margin": -1}"#, "region_margin"), (#"{"upscale": 3}"#, "upscale"),
      (#"{"latent_blend": 2}"#, "latent_blend"), (#"{"hold_still": 1}"#, "hold_still"),
    ] {
      let wrong = try settings(json)
      #expect(wrong.status == 400 && wrong["error", "param"] as? String == name, "\(wrong.text)")
    }
    // Values that only the stream can check.
    #expect(try settings(#"{"latent_blend": 1}"#).status == 400)
    #expect(try settings(#"{"seed_policy": "per-frame"}"#).status == 400)
    let without = try settings(#"{"region_margin": null}"#)
    #expect(without.status == 200 && without["settings", "region_margin"] == nil)
    try Self.close(server.port, id)
  }

  @Test("No more streams than are allowed; one that is left idle ends")
  func bounds() async throws {
    let full = try await RunningServer { $0.limits.streamCount = 1 }
    _ = try Self.open(full.port)
    let second = try LoopbackClient.ask(
      full.port, "POST", "/v1/streams", json: #"{"prompt": "x"}"#)
    #expect(second.status == 429 && second["error", "code"] as? String == "too_many_streams")
    await full.stop()

    let server = try await RunningServer {
      $0.limits.streamCount = 1
      $0.limits.streamIdleTime = .seconds(1)
    }
    let id = try Self.open(server.port)
    while try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)").status == 200 {
      try await Task.sleep(for: .milliseconds(100))
    }
    // Its place is free again.
    _ = try Self.open(server.port)
    await server.stop()
  }

  @Test(
    "A WebSocket takes frames and settings, and sends images and their descriptions",
    arguments: StreamHost.allCases)
  func socket(host: StreamHost) async throws {
    let server = try await host.server()
    let id = try Self.open(server.port)
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    #expect(socket.head.hasPrefix("HTTP/1.1 101"), "\(socket.head)")
    #expect(socket.head.lowercased().contains("sec-websocket-protocol: streamflow"))
    socket.send(opcode: 2, Self.picture(5))
    var line = try socket.next { $0.contains("\"frame\"") }
    #expect(line.contains("\"outcome\":\"made\""))
    #expect(try PixelImage(picture: socket.nextBinary()).width == 64)
    socket.send(opcode: 1, Array(#"{"prompt": "sushi"}"#.utf8))
    line = try socket.next { $0.contains("\"settings\"") }
    #expect(line.contains("sushi"))
    for wrong in [#"{"prompt": 1}"#, "{", #"{"rows": 3}"#] {
      socket.send(opcode: 1, Array(wrong.utf8))
      line = try socket.next { $0.contains("\"type\":\"error\"") }
      #expect(line.contains("invalid_request_error"))
    }
    socket.send(opcode: 2, Array("no image".utf8))
    line = try socket.next { $0.contains("\"type\":\"error\"") }
    #expect(line.contains("picture"))
    socket.send(opcode: 9, [1, 2, 3])
    #expect(try socket.nextFrame(opcode: 10) == [1, 2, 3])
    socket.send(opcode: 8, [0x03, 0xe8])
    #expect(try socket.nextFrame(opcode: 8) == [0x03, 0xe8])
    try Self.close(server.port, id)
  }
}

/// A WebSocket of a test's own (RFC 6455).
final class TestSocket {
  let client: LoopbackClient
  private(set) var head = ""
  private var bytes: [UInt8] = []

  init(port: Int, path: String, headers: [String: String] = [:]) throws {
    client = try LoopbackClient(port: port, timeout: 30)
    client.request(
      "GET", path,
      headers: [
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "streamflow",
      ].merging(headers) { $1 })
    while !bytes.contains(subsequence: Array("\r\n\r\n".utf8)) {
      let more = client.read()
      guard !more.isEmpty else { break }
      bytes += more
    }
    let end = bytes.firstIndex(ofAll: Array("\r\n\r\n".utf8)) ?? bytes.count
    head = String(decoding: bytes[..<end], as: UTF8.self)
    bytes = Array(bytes.dropFirst(end + 4))
  }

  /// Sends a whole message, masked as clients must.
  func send(opcode: UInt8, _ content: [UInt8]) {
    var frame: [UInt8] = [0x80 | opcode]
    switch content.count {
    case ..<126: frame.append(0x80 | UInt8(content.count))
    case ..<65536:
      frame += [0x80 | 126, UInt8(content.count >> 8), UInt8(content.count & 255)]
    default:
      frame.append(0x80 | 127)
      for shift in stride(from: 56, through: 0, by: -8) {
        frame.append(UInt8(content.count >> shift & 255))
      }
    }
    let mask: [UInt8] = [1, 2, 3, 4]
    frame += mask
    frame += content.enumerated().map { $1 ^ mask[$0 % 4] }
    client.send(frame)
  }

  private func take(_ count: Int) throws -> [UInt8] {
    while bytes.count < count {
      let more = client.read()
      guard !more.isEmpty else { throw LoopbackClient.Failure.noAnswer(bytes) }
      bytes += more
    }
    defer { bytes = Array(bytes.dropFirst(count)) }
    return Array(bytes.prefix(count))
  }

  private func frame() throws -> (opcode: UInt8, content: [UInt8]) {
    let start = try take(2)
    var length = Int(start[1] & 127)
    if length > 125 {
      length = try take(length == 126 ? 2 : 8).reduce(0) { $0 << 8 | Int($1) }
    }
    return (start[0] & 15, try take(length))
  }

  /// The content of the next frame of a kind.
  func nextFrame(opcode: UInt8) throws -> [UInt8] {
    while true {
      let (kind, content) = try frame()
      if kind == opcode { return content }
    }
  }

  /// The next binary message.
  func nextBinary() throws -> [UInt8] { try nextFrame(opcode: 2) }

  /// The next text that is looked for.
  func next(where isWanted: (String) -> Bool) throws -> String {
    while true {
      let text = String(decoding: try nextFrame(opcode: 1), as: UTF8.self)
      if isWanted(text) { return text }
    }
  }
}

extension [UInt8] {
  func firstIndex(ofAll subsequence: [UInt8]) -> Int? {
    guard count >= subsequence.count else { return nil }
    return (0...count - subsequence.count).first {
      self[$0..<$0 + subsequence.count].elementsEqual(subsequence)
    }
  }

  func contains(subsequence: [UInt8]) -> Bool { firstIndex(ofAll: subsequence) != nil }
}
