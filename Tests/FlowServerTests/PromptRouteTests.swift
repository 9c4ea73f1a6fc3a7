import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowServer

/// What the server says of prompts and sizes that a model was not trained for.
@Suite(.serialized, .tags(.engine)) struct PromptRouteTests {
  private static func codes(_ warnings: Any?) -> [String] {
    (warnings as? [[String: Any]] ?? []).compactMap { $0["code"] as? String }
  }

  private static func generate(_ fields: String) async throws -> LoopbackClient.Answer {
    let server = try await RunningServer.shared()
    return try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: "{\"steps\": 1, \(fields)}")
  }

  @Test("The prompts of the starter are listed, and each of them is known")
  func prompts() async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(server.port, "GET", "/v1/models/starter/prompts")
    #expect(answer.status == 200 && answer["is_limited"] as? Bool == true, "\(answer.text)")
    #expect(answer["template"] as? String == "{subject} on a {background} background")
    #expect(answer["sizes"] as? [String] == ["64x64"])
    let subjects = try #require(answer["subjects"] as? [[String: Any]])
    #expect(subjects.count == 435 && (answer["backgrounds"] as? [String])?.count == 10)
    let checkpoint = try Checkpoint.starter64()
    let names = subjects.compactMap { $0["name"] as? String }
    #expect(checkpoint.advice(onPrompts: names) == [])
    let missing = try LoopbackClient.ask(server.port, "GET", "/v1/models/nothing/prompts")
    #expect(missing.status == 404 && missing["error", "code"] as? String == "model_not_found")
  }

  @Test("Unknown words come back as warnings, each once, and a known prompt has none")
  func words() async throws {
    let answer = try await Self.generate(#""prompt": "a foks on a blu background", "n": 2"#)
    #expect(answer.status == 200)
    #expect(Self.codes(answer["warnings"]) == ["unknown_word", "unknown_word", "unknown_subject"])
    let first = answer["warnings", "0", "message"] as? String
    #expect(first == "the starter does not know 'foks'; nearest: fox")
    #expect(answer["warnings", "0", "parameter"] as? String == "prompt")
    #expect(try await Self.generate(#""prompt": "a fox on a blue background""#)["warnings"] == nil)
    let several = try await Self.generate(#""prompt": "a fox and a dog""#)
    #expect(Self.codes(several["warnings"]) == ["several_subjects"])
  }

  @Test("A size that the model was not trained for comes back as a warning")
  func size() async throws {
    let answer = try await Self.generate(#""prompt": "a fox", "size": "128x96""#)
    #expect(Self.codes(answer["warnings"]) == ["unsuitable_size"], "\(answer.text.prefix(300))")
    #expect(answer["warnings", "0", "parameter"] as? String == "size")
    let message = answer["warnings", "0", "message"] as? String ?? ""
    #expect(message.contains("64x64") && message.contains("128x96"))
  }

  @Test("A streamed order says so with its first partial image")
  func streamed() async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations",
      json: #"{"prompt": "zxcvb", "steps": 4, "stream": true, "partial_images": 2}"#)
    let events = answer.text.split(separator: "\n").filter { $0.hasPrefix("data:") }
    #expect(events.count == 3)
    for (index, event) in events.enumerated() {
      #expect(event.contains("unknown_word") == (index != 1), "event \(index)")
    }
  }

  @Test("A live stream says so of its settings, again when they change")
  func live() async throws {
    let server = try await RunningServer.shared()
    let made = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams",
      json: #"{"prompt": "a castle", "steps": 2, "guidance": "none", "stages": 2}"#)
    let id = try #require(made["id"] as? String)
    #expect(Self.codes(made["warnings"]) == ["unknown_word", "unknown_subject"])
    let changed = try LoopbackClient.ask(
      server.port, "PATCH", "/v1/streams/\(id)", json: #"{"prompt": "a fox"}"#)
    #expect(changed.status == 200 && changed["warnings"] == nil, "\(changed.text)")
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)").status == 204)
  }
}
