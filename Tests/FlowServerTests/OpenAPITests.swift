import FlowCore
import FlowImage
import FlowModels
import FlowTestSupport
import Foundation
import Logging
import StreamFlow
import Testing

@testable import FlowServer

@Suite(.serialized, .tags(.engine)) struct OpenAPITests {
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
      ServerOptions(models: [ServedModel(name: "starter") { try Checkpoint.starter64() }]),
      logger: logger
    ).routes
    let pages = PageRoutes.paths
    let served = Set(
      routes.filter { !pages.contains($0.path) }.map { "\($0.method) \($0.path)" })
    #expect(described == served)
  }

  @Test("Each operation has a name of its own, from which clients are generated")
  func operationNames() throws {
    let document = try Self.document()
    let paths = try #require(document["paths"] as? [String: [String: Any]])
    let operations = paths.flatMap { path, methods in
      methods.filter { $0.key != "parameters" }.map { ("\($0.key) \(path)", $0.value) }
    }
    var names: Set<String> = []
    for (name, operation) in operations {
      let id = (operation as? [String: Any])?["operationId"] as? String ?? ""
      #expect(id.wholeMatch(of: /[a-z][A-Za-z]+/) != nil, "\(name)")
      #expect(names.insert(id).inserted, "\(id) is there twice")
    }
  }

  @Test("Warnings are described, each code")
  func warnings() throws {
    let schemas = (try Self.document()["components"] as? [String: Any])?["schemas"]
    let warning = (schemas as? [String: [String: Any]])?["Warning"]?["properties"]
    let code = (warning as? [String: [String: Any]])?["code"]?["enum"] as? [String] ?? []
    #expect(Set(code) == Set(ResponseWarning.Code.allCases.map(\.rawValue)))
  }

  @Test("Solvers are described as they are read")
  func solvers() throws {
    let text = String(decoding: Data(PackageResources.openapi_json), as: UTF8.self)
    let described = text.matches(of: /"pattern": "(\^\(euler\|[^"]+)"/).map { String($0.1) }
    #expect(described.count == 7)
    for pattern in Set(described) {
      let pattern = try Regex(pattern)
      for solver in Solver.allCases.map(\.rawValue) + [
        "noise-refresh:rate=0.3", "stochastic-curved:rate=ddpm", "ema:gain=1.5,decay=0.8",
        "sde-stable:step=euler,scale=1e-05", "taylorseer:interval=2,last=1",
      ] {
        #expect(Solver(rawValue: solver) != nil && solver.wholeMatch(of: pattern) != nil)
      }
      for other in ["dpm", "euler:rate=1", "noise-refresh:", "noise-refresh:rate=ddpm"] {
        #expect(Solver(rawValue: other) == nil && other.wholeMatch(of: pattern) == nil)
      }
    }
    #expect(text.components(separatedBy: "\"description\": \"\(Solver.spellings).\"").count == 8)
  }

  @Test("The messages of a WebSocket are as the document describes them")
  func socketMessages() async throws {
    let schemas = (try Self.document()["components"] as? [String: Any])?["schemas"]
    let message = (schemas as? [String: [String: Any]])?["SocketMessage"]
    let described = try #require(message?["oneOf"] as? [[String: Any]])
    let server = try await RunningServer.shared()
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: #"{"prompt": "a fox", "steps": 1, "stages": 1}"#)
    let id = try #require(opened["id"] as? String, "\(opened.text)")
    let socket = try TestSocket(port: server.port, path: "/v1/streams/\(id)/socket")
    socket.send(opcode: 2, try PixelImage(width: 2, height: 2, pixels: Array(0..<12)).png())
    socket.send(opcode: 1, Array(#"{"prompt": "sushi"}"#.utf8))
    socket.send(opcode: 1, Array("{".utf8))
    var awaited: Set<String> = ["frame", "settings", "error", "statistics"]
    while !awaited.isEmpty {
      let text = try socket.next { _ in true }
      let fields = try #require(
        JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      let type = fields["type"] as? String ?? ""
      awaited.remove(type)
      let schema = described.first {
        (($0["properties"] as? [String: [String: Any]])?["type"]?["const"] as? String) == type
      }
      let properties = Set((schema?["properties"] as? [String: Any] ?? [:]).keys)
      let required = Set(schema?["required"] as? [String] ?? [])
      #expect(
        properties.isSuperset(of: fields.keys) && required.isSubset(of: fields.keys), "\(text)")
    }
    #expect(
      try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)").status == 204)
  }

  private static func document() throws -> [String: Any] {
    let data = Data(PackageResources.openapi_json)
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  @Test("A method that a path does not support is rejected with the supported ones")
  func methods() async throws {
    let server = try await RunningServer.shared()
    for (method, path, allowed) in [
      ("DELETE", "/v1/models", "GET"), ("GET", "/v1/images/generations", "POST"),
      ("POST", "/v1/jobs/x", "DELETE, GET"), ("TRACE", "/healthz", "GET"),
    ] {
      let answer = try LoopbackClient.ask(server.port, method, path)
      #expect(answer.status == 405 && answer.headers["allow"] == allowed, "\(answer.text)")
      let words = allowed.replacing(", ", with: " or ")
      #expect(
        answer["error", "message"] as? String == "\(method) is not allowed here; use \(words)")
    }
  }

  @Test(
    "A path that there is not is answered with the one that does the same",
    arguments: [
      ("/sdapi/v1/txt2img", "AUTOMATIC1111's API; use POST /v1/images/generations"),
      ("/sdapi/v1/img2img", "use POST /v1/images/edits"),
      ("/sdapi/v1/options", "AUTOMATIC1111"),
      ("/prompt", "ComfyUI's API; use POST /v1/jobs"),
      ("/history/abc", "use GET /v1/jobs/{id}"),
      ("/api/queue", "ComfyUI's API; use GET /v1/status"),
      ("/sdcpp/v1/img_gen", "stable-diffusion.cpp's own API; use POST /v1/jobs"),
      ("/api/generate", "Ollama's API; use POST /v1/images/generations"),
      ("/api/tags/", "use GET /v1/models"),
      ("/v1/chat/completions", "OpenAI's other APIs; use POST /v1/images/generations"),
      ("/v1/images/variations", "use POST /v1/images/edits"),
      ("/health", "this is StreamFlow; use GET /healthz"),
      ("/images/generations", "did you mean /v1/images/generations?"),
      ("/v1/v1/images/generations", "did you mean /v1/images/generations?"),
      ("/v1/image/generation", "did you mean /v1/images/generations?"),
      ("/v1/modles", "did you mean /v1/models?"),
      ("/v1/Jobs/job_1", "did you mean /v1/jobs/{id}?"),
      ("/wp-login.php", "an image server"), ("/v1", "an image server"),
      ("/\(String(repeating: "a/", count: 2000))", "an image server"),
    ])
  func unknownPaths(path: String, words: String) async throws {
    let server = try await RunningServer.shared()
    for method in ["GET", "POST"] {
      let answer = try LoopbackClient.ask(server.port, method, path)
      #expect(answer.status == 404 && answer["error", "code"] as? String == "not_found")
      let message = answer["error", "message"] as? String ?? ""
      #expect(message.contains(words) && message.contains("/openapi.json"), "\(message)")
      #expect(message.count < 300)
    }
  }

  @Test("What a route does not find is reported by the route, not as an unknown path")
  func unknownThings() async throws {
    let server = try await RunningServer.shared()
    for (path, words) in [
      ("/v1/jobs/x", "no job"), ("/v1/streams/x", "no live stream"),
      ("/v1/models/x", "no model 'x'"),
    ] {
      let answer = try LoopbackClient.ask(server.port, "GET", path)
      #expect(answer.status == 404)
      #expect((answer["error", "message"] as? String)?.contains(words) == true, "\(answer.text)")
    }
  }

  @Test("Methods of any name are one series")
  func methodLabels() async throws {
    let server = try await RunningServer.shared()
    for method in ["MKCOL", "PURGE", "TRACE"] {
      #expect(try LoopbackClient.ask(server.port, method, "/v1/models").status == 405)
    }
    let text = try LoopbackClient.ask(server.port, "GET", "/metrics").text
    #expect(!text.contains("PURGE"))
    #expect(
      text.contains(
        "streamflow_requests_total{method=\"other\",path=\"other\",status=\"405\"}"))
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
      "streamflow_pictures_total{source=\"request\"}", "streamflow_pictures_total{source=\"live\"}",
      "# TYPE streamflow_request_duration_seconds histogram",
      "streamflow_request_duration_seconds_count{method=\"POST\",path=\"/v1/images/generations\",",
      "streamflow_request_duration_seconds_bucket{method=\"GET\",path=\"other\",status=\"404\",le=\"1\"}",
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
