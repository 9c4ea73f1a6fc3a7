import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// JSON that burns processor time, at every door that JSON comes in.
@Suite(.serialized, .tags(.engine)) struct JSONRouteTests {
  @Test("JSON that is nested too deeply or too wide costs nothing, wherever it comes in")
  func complexJSON() async throws {
    let server = try await RunningServer.shared()
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    let stream = "/v1/streams/\(try #require(opened["id"] as? String))"
    let bombs = [
      String(repeating: "[", count: 500_000),
      String(repeating: "[{\"a\":", count: 100_000),
      "[" + Array(repeating: "{}", count: 300_000).joined(separator: ",") + "]",
    ]
    for bomb in bombs {
      for (method, path) in [
        ("POST", "/v1/images/generations"), ("POST", "/v1/jobs"), ("POST", "/v1/streams"),
        ("PATCH", stream),
      ] {
        let answer = try LoopbackClient.ask(server.port, method, path, json: bomb)
        #expect(answer.status == 400 && answer["error", "code"] as? String == "json_too_complex")
      }
      for field in ["blend", "seed_blend"] {
        let form =
          "--x\r\nContent-Disposition: form-data; name=\"\(field)\"\r\n\r\n\(bomb)\r\n--x--\r\n"
        let answer = try LoopbackClient.ask(
          server.port, "POST", "/v1/images/edits",
          headers: ["Content-Type": "multipart/form-data; boundary=x"], body: Array(form.utf8))
        #expect(answer.status == 400 && answer["error", "code"] as? String == "json_too_complex")
        #expect(answer["error", "param"] as? String == field)
      }
      #expect(try LoopbackClient.ask(server.port, "GET", "/healthz").text == "ok\n")
    }
    let large = "{\"prompt\": \"\(String(repeating: "x", count: ServerLimits().jsonByteCount))\"}"
    #expect(try LoopbackClient.ask(server.port, "POST", "/v1/jobs", json: large).status == 413)
    // As many prompts as a job may have are no bomb.
    let prompts = Array(repeating: "\"a fox\"", count: 1000).joined(separator: ",")
    let job = try LoopbackClient.ask(
      server.port, "POST", "/v1/jobs", json: "{\"prompts\": [\(prompts)], \"steps\": 1}")
    #expect(job.status == 202, "\(job.text)")
    let jobPath = "/v1/jobs/\(job["id"] as? String ?? "")"
    #expect(try LoopbackClient.ask(server.port, "DELETE", jobPath).status == 200)
    _ = try LoopbackClient.ask(server.port, "DELETE", stream)
  }
}
