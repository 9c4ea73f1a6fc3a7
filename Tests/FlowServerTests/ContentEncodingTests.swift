import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// Bodies that are sent compressed.
@Suite(.serialized, .tags(.engine)) struct ContentEncodingTests {
  @Test(
    "A compressed body is refused with 415 and the encoding that is accepted, on every route",
    arguments: [
      ("POST", "/v1/images/generations", "application/json"),
      ("POST", "/v1/images/edits", "multipart/form-data; boundary=x"),
      ("POST", "/v1/jobs", "application/json"),
      ("POST", "/v1/jobs", "multipart/form-data; boundary=x"),
      ("POST", "/v1/streams", "application/json"),
      ("PATCH", "/v1/streams/ID", "application/json"),
      ("PUT", "/v1/streams/ID/frames", "image/png"),
    ])
  func refused(method: String, path: String, type: String) async throws {
    let server = try await RunningServer.shared()
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    let id = try #require(opened["id"] as? String)
    for (coding, named) in [
      ("gzip", "gzip"), ("GZIP", "GZIP"), ("identity, br", "br"), ("zstd", "zstd"),
    ] {
      let answer = try LoopbackClient.ask(
        server.port, method, path.replacing("ID", with: id),
        headers: ["Content-Type": type, "Content-Encoding": coding], body: [0x1f, 0x8b, 8, 0])
      #expect(answer.status == 415, "\(coding): \(answer.text)")
      #expect(answer.headers["accept-encoding"] == "identity")
      #expect(answer["error", "code"] as? String == "content_encoding_unsupported")
      let message = answer["error", "message"] as? String ?? ""
      #expect(message.contains("'\(named)' is not supported; send the body uncompressed"))
    }
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)").status == 204)
  }

  @Test("A body that is not compressed is accepted, named so or not", arguments: ["identity", ""])
  func identity(coding: String) async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: #"{"prompt": "a fox", "steps": 1}"#,
      headers: ["Content-Encoding": coding])
    #expect(answer.status == 200, "\(answer.text)")
    let other = try LoopbackClient.ask(
      server.port, "POST", "/v1/jobs", headers: ["Content-Type": "text/plain"], body: [1])
    #expect(other.status == 415 && other.headers["accept-encoding"] == nil)
  }
}
