import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowServer

/// What answers, logs and the address that a server listens at disclose.
@Suite(.serialized, .tags(.engine)) struct DisclosureTests {
  @Test(
    "Only addresses of this machine need no token, whatever a name begins with",
    arguments: [
      ("127.0.0.1", true), ("127.9.9.9", true), ("localhost", true), ("::1", true),
      ("[::1]", true), ("::ffff:127.0.0.1", true), ("127.x.invalid", false),
      ("127.0.0.1.example.org", false), ("127.1", false), ("localhost.example.org", false),
      ("0.0.0.0", false), ("::", false), ("", false), ("128.0.0.1", false),
    ])
  func loopback(host: String, isLoopback: Bool) {
    var options = ServerOptions(models: [ServedModel(name: "starter") { throw CancellationError() }]
    )
    options.host = host
    #expect(options.isLoopback == isLoopback)
  }

  @Test("Answers tell browsers to keep them from other sites, and do not disclose other requests")
  func headers() async throws {
    let server = try await RunningServer.shared()
    let host = "localhost:\(server.port)"
    let page = try LoopbackClient.ask(server.port, "GET", "/", headers: ["Host": host])
    let policy = try #require(page.headers["content-security-policy"])
    #expect(policy.contains("connect-src 'self' ws://\(host) wss://\(host);"), "\(policy)")
    #expect(!policy.contains("ws: ") && !policy.contains("*"))
    let ipv6 = try LoopbackClient.ask(server.port, "GET", "/", headers: ["Host": "[::1]:80"])
    #expect(ipv6.headers["content-security-policy"]?.contains("connect-src 'self';") == true)
    var ids: Set<String> = []
    for path in ["/", "/healthz", "/v1/models", "/v1/nothing", "/page.js"] {
      let answer = try LoopbackClient.ask(server.port, "GET", path)
      #expect(answer.headers["cross-origin-resource-policy"] == "same-origin", "\(path)")
      #expect(answer.headers["x-content-type-options"] == "nosniff")
      ids.insert(try #require(answer.headers["x-request-id"]))
    }
    // 128 random bits each: no two share as much as a counter's would.
    #expect(ids.count == 5 && ids.allSatisfy { $0.count == 36 })
    #expect(Set(ids.map { $0.prefix(20) }).count == 5 && Set(ids.map { $0.suffix(16) }).count == 5)
  }

  @Test("The status of the server names neither its files nor the keys to live streams")
  func disclosure() async throws {
    let server = try await RunningServer {
      $0.models.append(
        ServedModel(name: "broken") { try Checkpoint(folder: "/secret/place/model") })
    }
    let failed = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: #"{"prompt": "x", "model": "broken"}"#)
    #expect(failed.status == 503 && !failed.text.contains("secret"), "\(failed.text)")
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    let id = try #require(opened["id"] as? String)
    let status = try LoopbackClient.ask(server.port, "GET", "/v1/status")
    #expect((status["streams"] as? [Any])?.count == 1)
    #expect(!status.text.contains(id) && !status.text.contains("secret"), "\(status.text)")
    let number = try #require(status["streams", "0", "id"] as? String)
    #expect(try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(number)").status == 404)
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(number)").status == 404)
    let models = try LoopbackClient.ask(server.port, "GET", "/v1/models")
    #expect(models["data", "1", "streamflow", "state"] as? String == "failed")
    #expect(!models.text.contains("secret"), "\(models.text)")
    let metrics = try LoopbackClient.ask(server.port, "GET", "/metrics")
    #expect(!metrics.text.contains(id) && !metrics.text.contains("secret"))
    await server.stop()
  }

  @Test("Control characters of a path are escaped in the log")
  func loggedPaths() {
    #expect(OutcomeMiddleware.plain("/v1/a?b=%41") == "/v1/a?b=%41")
    #expect(
      OutcomeMiddleware.plain("/\u{1b}[31m\u{9b}2J\u{7f}\n")
        == "/\\u{1B}[31m\\u{009B}2J\\u{7F}\\n")
    #expect(OutcomeMiddleware.plain("/\u{202e}gnp") == "/\\u{202E}gnp")
    #expect(OutcomeMiddleware.plain(String(repeating: "a", count: 5000)).count == 200)
  }
}
