import FlowModels
import FlowTestSupport
import Foundation
import Logging
import StreamFlow
import Testing

@testable import FlowServer

@Suite(.serialized, .tags(.engine)) struct ModelShelfTests {
  @Test("Of several models as many stay as there is room for; the one used least of late gives way")
  func budget() async throws {
    let bytes = try Checkpoint.starter64().engineByteCount
    let server = try await RunningServer { options in
      options.models = ["first", "second", "third"].map { name in
        ServedModel(name: name) { try Checkpoint.starter64() }
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

  @Test("A model with an upscaler of its own offers its factor")
  func upscaler() async throws {
    let folder = try TemporaryFolder()
    let model = "\(folder.path)/own"
    try FileManager.default.copyItem(atPath: Starter64.folder, toPath: model)
    func upscale(_ pixelCount: Int = 1 << 26) async throws -> Int? {
      let server = try await RunningServer {
        $0.models = [ServedModel(name: "own") { try Checkpoint(folder: model) }]
        $0.limits.upscaledPixelCount = pixelCount
      }
      let answer = try LoopbackClient.ask(server.port, "GET", "/v1/models")
      await server.stop()
      return answer["data", "0", "streamflow", "upscale"] as? Int
    }
    #expect(try await upscale() == nil)
    let file = try folder.write(
      TinyUpscaler.compact(), as: "own/streamflow-upscaler.safetensors")
    #expect(try await upscale() == 4)
    #expect(try await upscale(1 << 10) == nil)
    // What cannot be read is not offered, and is an error to those who ask for it.
    try Data("nothing".utf8).write(to: URL(filePath: file))
    #expect(try await upscale() == nil)
  }

  @Test("A model that cannot be read is reported, and the others continue")
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
  }

  @Test("A first model that cannot be read leaves the others, and is reported without its path")
  func firstBroken() async throws {
    let server = try await RunningServer(mustBeReady: false) { options in
      options.models.insert(
        ServedModel(name: "broken") { try Checkpoint(folder: "/nothing/of/the/kind") }, at: 0)
    }
    let ready = try LoopbackClient.ask(server.port, "GET", "/readyz")
    #expect(ready.status == 503 && ready["error", "code"] as? String == "model_unavailable")
    #expect(!ready.text.contains("/nothing"))
    #expect(
      try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations",
        json: #"{"prompt": "x", "steps": 1, "model": "starter"}"#
      ).status == 200)
    await server.stop()
  }

  @Test("A server of which no model can be read ends, with the reason of each")
  func allBroken() async throws {
    let error = await #expect(throws: ModelsUnavailable.self) {
      try await RunningServer { options in
        options.models = ["one", "two"].map { name in
          ServedModel(name: name) { try Checkpoint(folder: "/nothing/of/\(name)") }
        }
      }
    }
    for words in ["cannot load any model", "'one'", "/nothing/of/one", "'two'", "/nothing/of/two"] {
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    #expect((error?.cause as? ModelError)?.code == .fileMissing)
  }

  @Test("A failure to read a model is logged once, however many requests meet it")
  func failureLogs() async throws {
    let log = CollectedLog()
    let logger = Logger(label: "test") { _ in CollectedLog.Handler(log: log) }
    let model = ServedModel(name: "broken") { try Checkpoint(folder: "/nothing/of/the/kind") }
    let shelf = ModelShelf(ServerOptions(models: [model]), logger: logger)
    for _ in 0..<3 {
      await #expect(throws: ServerError.self) { try await shelf.generator(nil, of: shelf.hosts[0]) }
    }
    #expect(log.lines.count { $0.level == .error } == 1, "\(log.lines)")
  }
}
