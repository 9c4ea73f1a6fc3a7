import FlowTestSupport
import StreamFlow
import Testing

@testable import FlowServer

@Suite(.serialized) struct ModelShelfTests {
  @Test("Of several models as many stay as there is room for; the one used least of late gives way")
  func budget() async throws {
    let bytes = try Checkpoint.starter().engineByteCount
    let server = try await RunningServer { options in
      options.models = ["first", "second", "third"].map { name in
        ServedModel(name: name) { try Checkpoint.starter() }
      }
      options.memoryByteCount = 2 * bytes + bytes / 2
    }
    func states() throws -> [String] {
      let answer = try LoopbackClient.ask(server.port, "GET", "/v1/status")
      return (answer["models"] as? [[String: Any]] ?? []).compactMap { $0["state"] as? String }
    }
    func make(_ model: String) throws -> Int {
      try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations",
        json: "{\"prompt\": \"x\", \"model\": \"\(model)\", \"steps\": 1}"
      ).status
    }
    #expect(try states() == ["ready", "unloaded", "unloaded"])
    #expect(try make("second") == 200)
    #expect(try states() == ["ready", "ready", "unloaded"])
    #expect(try make("first") == 200)
    #expect(try make("third") == 200)
    #expect(try states() == ["ready", "unloaded", "ready"])
    #expect(try make("second") == 200)
    #expect(try states() == ["unloaded", "ready", "ready"])
    await server.stop()
  }

  @Test("A model that cannot be read is told, and the others go on")
  func broken() async throws {
    let server = try await RunningServer { options in
      options.models.append(
        ServedModel(name: "broken") { try Checkpoint(folder: "/nothing/of/the/kind") })
    }
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: #"{"prompt": "x", "model": "broken"}"#)
    #expect(answer.status == 503 && answer["error", "code"] as? String == "model_unavailable")
    // The place on the server's disk is for its log alone.
    #expect(!answer.text.contains("/nothing"))
    #expect(
      try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations", json: #"{"prompt": "x", "steps": 1}"#
      ).status == 200)
    await server.stop()
    // Nor is it for whoever asks whether the server is ready.
    let error = await #expect(throws: ServerSetupError.self) {
      try await RunningServer { options in
        options.models = [
          ServedModel(name: "broken") { try Checkpoint(folder: "/nothing/of/the/kind") }
        ]
      }
    }
    #expect(error?.message.contains("model_unavailable") == true)
    #expect(error?.message.contains("/nothing") == false)
  }
}
