import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// What ready-made clients of OpenAI's images API send.
@Suite(.serialized, .tags(.engine)) struct OpenAIRequestTests {
  private static let path = "/v1/images/generations"

  private static func generate(
    _ server: RunningServer, _ fields: String
  ) throws -> LoopbackClient.Answer {
    try LoopbackClient.ask(
      server.port, "POST", path, json: "{\"prompt\": \"a fox\", \"steps\": 1, \(fields)}")
  }

  private static func codes(_ warnings: Any?) -> [String] {
    (warnings as? [[String: Any]] ?? []).compactMap { $0["code"] as? String }
  }

  @Test(
    "A parameter without effect is reported in the answer",
    arguments: [
      ("quality", "\"hd\""), ("quality", "\"max\""), ("style", "\"vivid\""),
      ("moderation", "\"low\""), ("complexity", "\"high\""), ("output_compression", "50"),
      ("partial_images", "2"),
    ])
  func ignored(name: String, value: String) async throws {
    let answer = try Self.generate(try await .shared(), "\"\(name)\": \(value)")
    #expect(answer.status == 200, "\(answer.text)")
    let warnings = try #require(answer["warnings"] as? [[String: String]])
    #expect(warnings.map { $0["code"] } == ["parameter_ignored"])
    #expect(warnings.map { $0["parameter"] } == [name])
    #expect(warnings[0]["message"]?.hasPrefix("'\(name)' is ignored") == true)
  }

  @Test("A tag in a prompt that names a LoRA is reported in the answer")
  func promptTag() async throws {
    let tagged = try LoopbackClient.ask(
      try await RunningServer.shared().port, "POST", Self.path,
      json: #"{"prompt": "a fox <lora:ink:0.5>", "steps": 1, "n": 2}"#)
    #expect(tagged.status == 200, "\(tagged.text)")
    let warnings = try #require(tagged["warnings"] as? [[String: String]])
    #expect(warnings.map { $0["code"] } == ["prompt_tag_ignored"])
    #expect(warnings[0]["message"]?.contains("the LoRA 'ink' with weight 0.5") == true)
  }

  @Test("A parameter that asks for what is done anyway is no warning")
  func defaults() async throws {
    let answer = try Self.generate(
      try await .shared(),
      """
      "quality": "auto", "background": "opaque", "output_compression": 100, "user": "ann",
      "safety_identifier": "ben", "size": "auto", "n": 1, "style": null
      """)
    #expect(answer.status == 200, "\(answer.text)")
    #expect(answer["warnings"] == nil)
  }

  @Test(
    "A result of another kind than can be made is refused",
    arguments: [
      ("background", "transparent", "transparent backgrounds are not supported"),
      ("output_format", "webp", "'output_format' must be png or jpeg; webp is not supported"),
      ("output_format", "gif", "gif is not supported"),
      ("output_format", "jpg", "'output_format' must be png or jpeg, got 'jpg'"),
      ("quality", "best", "'quality' must be one of auto"),
      ("style", "noir", "'style' must be one of vivid, natural"),
      ("size", "1792x1024", "at most 1024"),
    ])
  func refused(name: String, value: String, words: String) async throws {
    let answer = try Self.generate(try await .shared(), "\"\(name)\": \"\(value)\"")
    #expect(answer.status == 400 && answer["error", "code"] as? String == "invalid_value")
    #expect(answer["error", "param"] as? String == name)
    let message = answer["error", "message"] as? String ?? ""
    #expect(message.contains(words), "\(message)")
  }

  @Test(
    "The name of an OpenAI model means the first model, with a warning",
    arguments: [
      "gpt-image-1", "gpt-image-1-mini", "gpt-image-2.5-flare-2026-09-08", "chatgpt-image-latest",
      "dall-e-2", "dall-e-3",
    ])
  func substitution(name: String) async throws {
    let server = try await RunningServer.shared()
    let answer = try Self.generate(server, "\"model\": \"\(name)\"")
    #expect(answer.status == 200, "\(answer.text)")
    #expect(Self.codes(answer["warnings"]) == ["model_substituted"])
    let message = answer["warnings", "0", "message"] as? String
    #expect(message == "'\(name)' is not served here; 'starter' was used")
  }

  @Test("A model of an OpenAI name is that model; strict servers refuse other names")
  func strict() async throws {
    let named = try await RunningServer { options in
      let starter = options.models[0]
      options.models.append(ServedModel(name: "dall-e-3", load: starter.load))
    }
    let own = try Self.generate(named, "\"model\": \"dall-e-3\"")
    #expect(own.status == 200 && own["warnings"] == nil, "\(own.text)")
    await named.stop()
    let strict = try await RunningServer { $0.acceptsOpenAINames = false }
    let refused = try Self.generate(strict, "\"model\": \"dall-e-3\"")
    #expect(refused.status == 404 && refused["error", "code"] as? String == "model_not_found")
    await strict.stop()
  }

  @Test("A model is described by its name, a slash in it or not")
  func retrieval() async throws {
    let server = try await RunningServer { options in
      let starter = options.models[0]
      options.models.append(ServedModel(name: "org/name", load: starter.load))
    }
    let list = try LoopbackClient.ask(server.port, "GET", "/v1/models")
    for (path, id) in [
      ("starter", "starter"), ("org/name", "org/name"), ("org%2Fname", "org/name"),
      ("dall-e-3", "starter"),
    ] {
      let model = try LoopbackClient.ask(server.port, "GET", "/v1/models/\(path)")
      #expect(model.status == 200 && model["id"] as? String == id, "\(model.text)")
      #expect(model["object"] as? String == "model")
      #expect(model["streamflow", "max_n"] as? Int == 16)
    }
    #expect(list["data", "1", "id"] as? String == "org/name")
    let unknown = try LoopbackClient.ask(server.port, "GET", "/v1/models/org/other")
    #expect(unknown.status == 404 && unknown["error", "code"] as? String == "model_not_found")
    await server.stop()
  }

  @Test("A seed of -1 is random, and reported")
  func randomSeed() async throws {
    let server = try await RunningServer.shared()
    var seeds: Set<Int> = []
    for _ in 0..<4 {
      let answer = try Self.generate(server, "\"seed\": -1, \"n\": 2")
      let first = try #require(answer["data", "0", "seed"] as? Int, "\(answer.text)")
      #expect(answer["data", "1", "seed"] as? Int == first + 1)
      seeds.insert(first)
    }
    #expect(seeds.count > 1)
    let refused = try Self.generate(server, "\"seed\": -2")
    #expect(refused.status == 400)
    let message = refused["error", "message"] as? String ?? ""
    #expect(message.contains("-1 for a random one"), "\(message)")
  }

  @Test("A stream of one step is complete without partial images, and says why there are none")
  func singleStep() async throws {
    let answer = try Self.generate(
      try await .shared(), "\"stream\": true, \"partial_images\": 2, \"model\": \"gpt-image-1\"")
    #expect(answer.status == 200, "\(answer.text)")
    let events = answer.text.components(separatedBy: "\n\n").filter { !$0.isEmpty }
    #expect(events.map { $0.prefix { $0 != "\n" } } == ["event: image_generation.completed"])
    let line = try #require(events.first?.components(separatedBy: "\ndata: ").last)
    let data = try #require(
      JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    #expect(Self.codes(data["warnings"]) == ["model_substituted", "partial_images_reduced"])
    // As many as fit in between are sent: no warning.
    let several = try LoopbackClient.ask(
      try await RunningServer.shared().port, "POST", Self.path,
      json: """
        {"prompt": "a fox", "steps": 3, "guidance": "none", "stream": true, "partial_images": 2}
        """)
    #expect(several.text.components(separatedBy: "partial_image\n").count == 3)
    #expect(!several.text.contains("warnings"))
  }

  @Test("Jobs and live streams carry warnings too")
  func jobsAndStreams() async throws {
    let server = try await RunningServer.shared()
    let job = try LoopbackClient.ask(
      server.port, "POST", "/v1/jobs",
      json: #"{"prompt": "a fox", "quality": "high", "model": "dall-e-3"}"#)
    let id = try #require(job["id"] as? String, "\(job.text)")
    #expect(Self.codes(job["warnings"]).contains("parameter_ignored"))
    let events = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/events").text
    #expect(events.contains("model_substituted"))
    let done = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)")
    #expect(Self.codes(done["warnings"]) == ["parameter_ignored", "model_substituted"])
    let stream = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams",
      json: #"{"prompt": "a fox", "stages": 1, "model": "gpt-image-1", "seed": -1}"#)
    #expect(stream.status == 201, "\(stream.text)")
    #expect(Self.codes(stream["warnings"]) == ["model_substituted"])
    let stop = try LoopbackClient.ask(
      server.port, "DELETE", "/v1/streams/\(stream["id"] as? String ?? "")")
    #expect(stop.status == 204)
  }

  @Test(
    "A parameter of another program is answered with its name here",
    arguments: [
      ("cfg_scale", "use 'guidance_scale'"), ("num_inference_steps", "use 'steps'"),
      ("width", "use 'size'"), ("batch_size", "use 'n'"), ("promt", "did you mean 'prompt'?"),
      ("guidence_scale", "did you mean 'guidance_scale'?"), ("strength", "POST /v1/images/edits"),
      ("image", "POST /v1/images/edits"), ("colour", "known are"),
      ("\(String(repeating: "x", count: 300))", "known are"),
    ])
  func hints(name: String, words: String) async throws {
    let answer = try Self.generate(try await .shared(), "\"\(name)\": 1")
    #expect(answer.status == 400 && answer["error", "code"] as? String == "unknown_parameter")
    let message = answer["error", "message"] as? String ?? ""
    #expect(message.contains(words) && message.count < 700, "\(message)")
  }

  @Test("Edits name what is not supported")
  func edits() async throws {
    let server = try await RunningServer.shared()
    func edit(files: [String], _ fields: [(String, String)] = []) throws -> LoopbackClient.Answer {
      var body = ""
      for (name, value) in fields + [("prompt", "a fox"), ("steps", "1")] {
        body += "--x\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
      }
      for name in files {
        body +=
          "--x\r\nContent-Disposition: form-data; name=\"\(name)\"; filename=\"a.png\"\r\n\r\n\r\n"
      }
      return try LoopbackClient.ask(
        server.port, "POST", "/v1/images/edits",
        headers: ["Content-Type": "multipart/form-data; boundary=x"],
        body: Array((body + "--x--\r\n").utf8))
    }
    for (answer, words) in [
      (try edit(files: ["image", "mask", "mask"]), "one 'mask' is supported, got 2"),
      (try edit(files: ["mask"]), "'image' is missing"),
      (try edit(files: ["image"], [("mask_blur", "2")]), "send the file 'mask'"),
      (try edit(files: ["image"], [("method", "flowedit")]), "set 'source_prompt'"),
      (try edit(files: ["image"], [("method", "magic")]), "'method' must be sdedit, flowedit"),
      (try edit(files: ["image"], [("method", "soft"), ("source_prompt", "x")]), "reads no"),
      (try edit(files: ["image[]", "image[]"]), "one 'image' is supported, got 2"),
      (try edit(files: []), "'image' is missing"),
      (try edit(files: [], [("image", "fox.png")]), "'image' must be a file"),
      (try edit(files: ["image"], [("mask", "m.png")]), "'mask' must be a file"),
      (try edit(files: ["image"], [("input_fidelity", "best")]), "must be one of low, high"),
    ] {
      #expect(answer.status == 400)
      let message = answer["error", "message"] as? String ?? ""
      #expect(message.contains(words), "\(message)")
    }
  }
}
