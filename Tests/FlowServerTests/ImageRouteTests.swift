import FlowCore
import FlowImage
import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowServer

@Suite(.serialized, .tags(.engine)) struct ImageRouteTests {
  private static func image(_ answer: LoopbackClient.Answer, _ index: Int = 0) throws -> PixelImage
  {
    let text = try #require(answer["data", "\(index)", "b64_json"] as? String)
    return try PixelImage(picture: Array(try #require(Data(base64Encoded: text))))
  }

  private static let path = "/v1/images/generations"

  @Test("An image is the one that the generator makes of the same request")
  func same() async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(
      server.port, "POST", Self.path,
      json: """
        {"prompt": "a fox on a blue background", "seed": 7, "steps": 4, "guidance": "none",
         "n": 2, "size": "64x64"}
        """)
    #expect(answer.status == 200, "\(answer.text)")
    #expect(answer["data", "1", "seed"] as? Int == 8)
    #expect(answer["size"] as? String == "64x64" && answer["output_format"] as? String == "png")
    var request = GenerationRequest(prompt: "a fox on a blue background")
    request.seed = 8
    let generator = try Generator(checkpoint: .starter64(), engines: .ofTests)
    var iterator = try await generator.images(for: [request]).makeAsyncIterator()
    let expected = try #require(try await iterator.next()).image
    expectClose(
      try Self.image(answer, 1).pixels.map(Float.init), expected.pixels.map(Float.init),
      tolerance: 1)
  }

  @Test("Prompt syntax, random generator and clip skip are the library's, in jobs too")
  func syntax() async throws {
    let server = try await RunningServer.shared()
    let body = #""prompt": "a (fox)", "seed": 7, "steps": 1, "guidance": "none""#
    var request = GenerationRequest(prompt: "a (fox)")
    (request.seed, request.stepCount) = (7, 1)
    (request.promptSyntax, request.noiseSource) = (.plain, .cuda)
    request.skippedTextLayers = 1
    let generator = try Generator(checkpoint: .starter64(), engines: .ofTests)
    var iterator = try await generator.images(for: [request]).makeAsyncIterator()
    let expected = try #require(try await iterator.next()).image.pixels.map(Float.init)
    let fields = #""prompt_syntax": "plain", "noise": "cuda", "clip_skip": 1"#
    let answer = try LoopbackClient.ask(
      server.port, "POST", Self.path, json: "{\(body), \(fields)}")
    expectClose(try Self.image(answer).pixels.map(Float.init), expected, tolerance: 1)
    let whole = try Self.image(
      LoopbackClient.ask(server.port, "POST", Self.path, json: "{\(body)}"))
    #expect(whole != (try Self.image(answer)))
    // A job stores all.
    let job = try LoopbackClient.ask(
      server.port, "POST", "/v1/jobs", json: "{\(body), \(fields)}")
    let id = try #require(job["id"] as? String)
    #expect(
      try await eventually {
        try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)")["status"] as? String == "done"
      })
    let file = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/images/0").body
    #expect(try PixelImage(picture: file) == Self.image(answer))
    for wrong in [#""prompt_syntax": "html""#, #""noise": "gpu""#] {
      let refused = try LoopbackClient.ask(
        server.port, "POST", Self.path, json: "{\(body), \(wrong)}")
      #expect(refused.status == 400 && refused.text.contains("must be one of"), "\(refused.text)")
    }
  }

  @Test("JPEG, and an address where the image is found")
  func addresses() async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(
      server.port, "POST", Self.path,
      json: """
        {"prompt": "sushi", "response_format": "url", "output_format": "jpeg",
         "output_compression": 80, "steps": 1, "quality": "high", "user": "ann"}
        """)
    #expect(answer.status == 200, "\(answer.text)")
    let url = try #require(answer["data", "0", "url"] as? String)
    #expect(url.hasPrefix("http://127.0.0.1/v1/results/"))
    let path = url.replacing("http://127.0.0.1", with: "")
    let picture = try LoopbackClient.ask(server.port, "GET", path)
    #expect(picture.status == 200 && picture.headers["content-type"] == "image/jpeg")
    #expect(try PixelImage(picture: picture.body).width == 64)
  }

  @Test("Finished images are made larger where that is asked for, and say so")
  func upscale() async throws {
    let server = try await RunningServer.shared()
    let body = #""prompt": "a fox", "seed": 3, "steps": 1"#
    let small = try LoopbackClient.ask(server.port, "POST", Self.path, json: "{\(body)}")
    let large = try LoopbackClient.ask(
      server.port, "POST", Self.path, json: "{\(body), \"upscale\": 2}")
    #expect(large.status == 200 && large["size"] as? String == "128x128", "\(large.text)")
    let expected = try await Upscaler.lanczos(on: .ofTests).upscale(Self.image(small), by: 2)
    #expect(try Self.image(large) == expected)
    let text = try #require(large["data", "0", "b64_json"] as? String)
    let metadata = try ImageMetadata(of: Array(try #require(Data(base64Encoded: text))))
    #expect(
      metadata.parameters?.hasSuffix(", Postprocess upscale by: 2, Postprocess upscaler: Lanczos")
        == true)
    for (value, message) in [("3", "'upscale' must be 2 or 4, got 3"), ("8", "upscale")] {
      let answer = try LoopbackClient.ask(
        server.port, "POST", Self.path, json: "{\(body), \"upscale\": \(value)}")
      #expect(answer.status == 400 && answer.text.contains(message), "\(answer.text)")
    }
    let many = try LoopbackClient.ask(
      server.port, "POST", Self.path,
      json: #"{"prompt": "a fox", "n": 16, "size": "1024x1024", "upscale": 4}"#)
    #expect(many.status == 400 && many.text.contains("or make them a job"), "\(many.text)")
  }

  @Test("Events: previews in their order, then the image; the same one as without")
  func events() async throws {
    let server = try await RunningServer.shared()
    let body = #""prompt": "a rocket", "seed": 3, "steps": 4, "guidance": "none""#
    let whole = try LoopbackClient.ask(server.port, "POST", Self.path, json: "{\(body)}")
    let answer = try LoopbackClient.ask(
      server.port, "POST", Self.path, json: "{\(body), \"stream\": true, \"partial_images\": 2}")
    #expect(answer.status == 200 && answer.headers["content-type"] == "text/event-stream")
    let events = answer.text.components(separatedBy: "\n\n").filter { !$0.isEmpty }
    #expect(
      events.map { $0.prefix { $0 != "\n" } } == [
        "event: image_generation.partial_image", "event: image_generation.partial_image",
        "event: image_generation.completed",
      ])
    let line = try #require(events.last?.components(separatedBy: "\ndata: ").last)
    let data = try #require(
      JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    #expect(data["b64_json"] as? String == whole["data", "0", "b64_json"] as? String)
    #expect(data["seed"] as? Int == 3 && data["index"] as? Int == 0)
  }

  @Test("An edit starts from its image")
  func edits() async throws {
    let server = try await RunningServer.shared()
    let source = PixelImage(
      width: 20, height: 30, pixels: (0..<1800).map { UInt8($0 * 7 % 256) })
    let boundary = "xyz"
    var body: [UInt8] = []
    for (name, value) in [("prompt", "a fox"), ("strength", "0.5"), ("seed", "5"), ("steps", "2")] {
      body += Array(
        "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8
      )
    }
    body += Array(
      "--\(boundary)\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n"
        .utf8)
    body += try source.png()
    body += Array("\r\n--\(boundary)--\r\n".utf8)
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/edits",
      headers: ["Content-Type": "multipart/form-data; boundary=\(boundary)"], body: body)
    #expect(answer.status == 200, "\(answer.text)")
    let checkpoint = try Checkpoint.starter64()
    var request = GenerationRequest(prompt: "a fox")
    (request.seed, request.stepCount, request.spacing) = (5, 2, .uniform)
    request.guidance = checkpoint.guidance(scale: checkpoint.defaults().guidanceScale)
    request.source = InputImage(image: source, strength: 0.5, fit: ImageFit(.cover))
    let generator = try Generator(checkpoint: checkpoint, engines: .ofTests)
    var iterator = try await generator.images(for: [request]).makeAsyncIterator()
    expectClose(
      try Self.image(answer).pixels.map(Float.init),
      try #require(try await iterator.next()).image.pixels.map(Float.init), tolerance: 1)
  }

  @Test(
    "Wrong requests get the reason, in OpenAI's shape",
    arguments: [
      ("{", 400, "invalid_json", "JSON"),
      ("[1]", 400, "invalid_json", "object"),
      ("{}", 400, "missing_parameter", "'prompt'"),
      (#"{"promt": "a fox"}"#, 400, "missing_parameter", "and 'promt' is not known"),
      (#"{"prompt": 3}"#, 400, "invalid_value", "a string, got 3"),
      (#"{"prompt": "x", "n": 0}"#, 400, "invalid_value", "1 to 16, got 0"),
      (#"{"prompt": "x", "n": 1e99}"#, 400, "invalid_value", "'n'"),
      (#"{"prompt": "x", "n": "2"}"#, 400, "invalid_value", "got '2'"),
      (#"{"prompt": "x", "n": true}"#, 400, "invalid_value", "got true"),
      (#"{"prompt": "x", "steps": 101}"#, 400, "invalid_value", "1 to 100"),
      (#"{"prompt": "x", "size": "64"}"#, 400, "invalid_value", "'64x64'"),
      (#"{"prompt": "x", "size": "99999x64"}"#, 400, "invalid_value", "1024"),
      (#"{"prompt": "x", "size": "66x64"}"#, 400, "invalid_value", "multiple of"),
      (#"{"prompt": "x", "model": "../../etc/passwd"}"#, 404, "model_not_found", "starter"),
      (#"{"prompt": "x", "colour": "red"}"#, 400, "unknown_parameter", "'colour'"),
      (#"{"prompt": "x", "seed": -2}"#, 400, "invalid_value", "'seed'"),
      (#"{"prompt": "x", "guidance_scale": "high"}"#, 400, "invalid_value", "number"),
      (#"{"prompt": "x", "guidance": "self-negative"}"#, 400, "invalid_value", "reference"),
      (#"{"prompt": "x", "blend": [{"weight": 2}]}"#, 400, "invalid_value", "blend[0].weight"),
      (#"{"prompt": "x", "blend": [{"wait": 1}]}"#, 400, "unknown_parameter", "blend[0].wait"),
      (#"{"prompt": "x", "schedule": "ddim"}"#, 400, "invalid_value", "perflow"),
      (#"{"prompt": "x", "solver": "dpm"}"#, 400, "invalid_value", "noise-refresh[:rate=0.5]"),
      (#"{"prompt": "x", "solver": "ema:gain=x"}"#, 400, "invalid_value", "ema:gain=x"),
      (#"{"prompt": "\#(String(repeating: "x", count: 4001))"}"#, 400, "too_long", "4000"),
    ])
  func wrong(body: String, status: Int, code: String, words: String) async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(server.port, "POST", Self.path, json: body)
    #expect(answer.status == status)
    #expect(answer["error", "code"] as? String == code)
    let message = answer["error", "message"] as? String ?? ""
    #expect(message.contains(words), "\(message)")
    #expect(answer["error", "type"] as? String == "invalid_request_error")
  }

  @Test("A full queue is reported with when to try again")
  func fullQueue() async throws {
    let server = try await RunningServer { $0.limits.queuedImageCount = 4 }
    let client = try LoopbackClient(port: server.port)
    let json = Array(#"{"prompt": "x", "n": 4, "steps": 100}"#.utf8)
    client.request(
      "POST", Self.path, headers: ["Content-Type": "application/json"], body: json)
    while try LoopbackClient.ask(server.port, "GET", "/v1/status")["queue", "pictures"] as? Int != 4
    { try await Task.sleep(for: .milliseconds(5)) }
    let answer = try LoopbackClient.ask(server.port, "POST", Self.path, json: #"{"prompt": "y"}"#)
    #expect(answer.status == 429 && answer["error", "code"] as? String == "queue_full")
    #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 > 0)
    #expect(answer["error", "type"] as? String == "rate_limit_error")
    await server.stop()
  }

  @Test("A client that vanishes frees its rows")
  func vanishing() async throws {
    let server = try await RunningServer.shared()
    for stream in ["false", "true"] {
      let made = try LoopbackClient.ask(server.port, "GET", "/v1/status")["pictures"] as? Int ?? 0
      var client: LoopbackClient? = try LoopbackClient(port: server.port)
      client?.request(
        "POST", Self.path, headers: ["Content-Type": "application/json"],
        body: Array(#"{"prompt": "x", "n": 16, "steps": 100, "stream": \#(stream)}"#.utf8))
      func backlog() throws -> Int {
        try LoopbackClient.ask(server.port, "GET", "/v1/status")["queue", "pictures"] as? Int ?? -1
      }
      while try backlog() == 0 { try await Task.sleep(for: .milliseconds(5)) }
      client = nil
      while try backlog() > 0 { try await Task.sleep(for: .milliseconds(5)) }
      let status = try LoopbackClient.ask(server.port, "GET", "/v1/status")
      // 400 ticks were left: the images that they would have come to are not made.
      #expect(try #require(status["pictures"] as? Int) < made + 16)
      let batches = status["models", "0", "batches"] as? [[String: Any]] ?? []
      #expect(batches.allSatisfy { ($0["rows"] as? [Any])?.isEmpty == true })
    }
  }
}
