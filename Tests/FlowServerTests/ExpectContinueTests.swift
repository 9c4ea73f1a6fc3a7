import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// Clients that ask before they send a body (`Expect: 100-continue`), as curl does from 1 MB on.
@Suite(.serialized, .tags(.engine, .process)) struct ExpectContinueTests {
  private static func head(
    _ method: String, _ path: String, type: String, length: Int, _ more: String = ""
  ) -> String {
    "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: \(type)\r\n\(more)"
      + "Content-Length: \(length)\r\nExpect: 100-continue\r\n\r\n"
  }

  @Test("Every route that reads a body lets the client send it")
  func leave() async throws {
    let server = try await RunningServer { $0.limits.streamCount = 4 }
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    let stream = "/v1/streams/\(try #require(opened["id"] as? String))"
    let json = "application/json"
    let form = "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--x--\r\n"
    for (method, path, type, body, status) in [
      ("POST", "/v1/images/generations", json, #"{"prompt": 1}"#, 400),
      ("POST", "/v1/images/edits", "multipart/form-data; boundary=x", form, 400),
      ("POST", "/v1/jobs", json, #"{"prompt": "x", "steps": 1}"#, 202),
      ("POST", "/v1/streams", json, #"{"prompt": 1}"#, 400),
      ("PATCH", stream, json, #"{"strength": 0.5}"#, 200),
      ("PUT", stream + "/frames", "image/png", "no image", 415),
    ] {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.send(Self.head(method, path, type: type, length: body.utf8.count))
      let leave = String(decoding: client.read(), as: UTF8.self)
      #expect(leave == "HTTP/1.1 100 Continue\r\n\r\n", "\(method) \(path): \(leave)")
      client.send(body)
      #expect(try client.answer().status == status, "\(method) \(path)")
      // And the connection stays open.
      client.request("GET", "/healthz")
      #expect(try client.answer().status == 200)
    }
    await server.stop()
  }

  @Test("What is refused without its body is refused at once, without 100 Continue")
  func refusal() async throws {
    let server = try await RunningServer { $0.limits.jsonByteCount = 1000 }
    let json = "application/json"
    for (method, path, type, length, more, status) in [
      ("POST", "/v1/jobs", json, 1001, "", 413),
      ("POST", "/v1/jobs", "text/plain", 10, "", 415),
      ("POST", "/v1/images/edits", "text/plain", 10, "", 415),
      ("POST", "/v1/nothing", json, 10, "", 404),
      ("PUT", "/v1/jobs", json, 10, "", 405),
      ("PATCH", "/v1/streams/x", json, 1001, "", 413),
      ("PUT", "/v1/streams/x/frames", "image/png", 10, "", 404),
      ("POST", "/v1/jobs", json, 10, "Origin: http://evil.example\r\n", 403),
    ] {
      let client = try LoopbackClient(port: server.port, timeout: 20)
      client.send(Self.head(method, path, type: type, length: length, more))
      let answer = try client.answer()
      #expect(answer.status == status, "\(method) \(path)")
      #expect(answer.headers["connection"] == "close")
      #expect(client.isClosed())
    }
    await server.stop()
  }

  @Test("A body that comes without waiting is accepted without 100 Continue; HTTP/1.0 knows none")
  func noWait() async throws {
    let server = try await RunningServer.shared()
    let body = #"{"prompt": 1}"#
    let client = try LoopbackClient(port: server.port, timeout: 20)
    let head = Self.head(
      "POST", "/v1/jobs", type: "application/json", length: body.utf8.count)
    client.send(head + body)
    #expect(try client.answer().status == 400)
    let old = try LoopbackClient(port: server.port, timeout: 20)
    old.send(head.replacing("HTTP/1.1", with: "HTTP/1.0") + body)
    #expect(String(decoding: old.readAll(), as: UTF8.self).hasPrefix("HTTP/1.0 400"))
  }

  private static let curl = "/usr/bin/curl"

  @Test(
    "curl uploads without waiting",
    .enabled(if: FileManager.default.isExecutableFile(atPath: curl)))
  func curlUploads() async throws {
    let server = try await RunningServer.shared()
    let folder = FileManager.default.temporaryDirectory.appending(path: "upload-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (file, log) = (folder.appending(path: "image.png"), folder.appending(path: "log.txt"))
    let answer = folder.appending(path: "answer.json")
    try Data(repeating: 0x41, count: 1_900_000).write(to: file)
    let process = Process()
    process.executableURL = URL(filePath: Self.curl)
    // Without 100 Continue it would wait for a minute, beyond the timeout of the request.
    process.arguments = [
      "--silent", "--verbose", "--stderr", log.path, "--output", answer.path,
      "--header", "Expect: 100-continue", "--expect100-timeout", "60", "--max-time", "50",
      "--form", "image=@\(file.path);type=image/png", "--form", "prompt=a fox",
      "http://127.0.0.1:\(server.port)/v1/images/edits",
    ]
    // Waiting must not take a thread that the server needs.
    let status = try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    let text = try String(contentsOf: log, encoding: .utf8)
    #expect(status == 0, "\(text)")
    #expect(text.contains("HTTP/1.1 100 Continue") && text.contains("HTTP/1.1 415"), "\(text)")
    #expect(try String(contentsOf: answer, encoding: .utf8).contains("picture"))
  }
}
