import FlowTestSupport
import Foundation
import Logging
import StreamFlow
import Testing

@testable import FlowServer

@Suite(.serialized) struct OpenAPITests {
  @Test("The document describes the routes that there are, and no others")
  func routes() async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(server.port, "GET", "/openapi.json")
    #expect(answer.status == 200 && answer["openapi"] as? String == "3.1.0")
    let paths = try #require(answer["paths"] as? [String: [String: Any]])
    var described: Set<String> = []
    for (path, methods) in paths {
      for method in methods.keys where method != "parameters" {
        described.insert("\(method.uppercased()) \(path)")
      }
    }
    let logger = Logger(label: "test")
    let routes = try Server(
      ServerOptions(models: [ServedModel(name: "starter") { try Checkpoint.starter() }]),
      logger: logger
    ).routes
    let pages = PageRoutes.paths
    let served = Set(
      routes.filter { !pages.contains($0.path) }.map { "\($0.method) \($0.path)" })
    #expect(described == served)
  }

  @Test("A method that a path does not take is told so, with those that it takes")
  func methods() async throws {
    let server = try await RunningServer.shared()
    for (method, path, allowed) in [
      ("DELETE", "/v1/models", "GET"), ("GET", "/v1/images/generations", "POST"),
      ("POST", "/v1/jobs/x", "DELETE, GET"), ("TRACE", "/healthz", "GET"),
    ] {
      let answer = try LoopbackClient.ask(server.port, method, path)
      #expect(answer.status == 405 && answer.headers["allow"] == allowed, "\(answer.text)")
    }
  }

  @Test("HEAD is GET without the body")
  func head() async throws {
    let server = try await RunningServer.shared()
    for path in ["/", "/healthz", "/v1/models"] {
      let client = try LoopbackClient(port: server.port)
      client.request("HEAD", path, headers: ["Connection": "close"])
      let text = String(decoding: client.readAll(), as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 200") && text.hasSuffix("\r\n\r\n"))
    }
  }

  @Test("What the server counts is there to be read")
  func metrics() async throws {
    let server = try await RunningServer.shared()
    _ = try LoopbackClient.ask(server.port, "GET", "/nothing")
    _ = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: #"{"prompt": "x", "steps": 1}"#)
    let text = try LoopbackClient.ask(server.port, "GET", "/metrics").text
    for line in [
      "# TYPE streamflow_pictures_total counter", "streamflow_rows_in_flight ",
      "streamflow_queued_pictures ", "streamflow_rejected_total{reason=\"not_found\"}",
      "# TYPE streamflow_queue_wait_seconds histogram", "streamflow_model_bytes{model=\"starter\"}",
    ] { #expect(text.contains(line), "\(line) is not in \(text)") }
  }

  @Test("The page comes with a policy that lets nothing in from elsewhere")
  func page() async throws {
    let server = try await RunningServer.shared()
    let page = try LoopbackClient.ask(server.port, "GET", "/")
    #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
    #expect(page.headers["content-security-policy"]?.contains("default-src 'self'") == true)
    let text = page.text.replacing("http://www.w3.org/2000/svg", with: "")
    #expect(!text.contains("http://") && !text.contains("https://"))
    for path in PageRoutes.paths where path != "/favicon.ico" {
      #expect(try LoopbackClient.ask(server.port, "GET", path).status == 200)
    }
  }
}
