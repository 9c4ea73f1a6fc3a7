import FlowTestSupport
import Foundation
import Testing

/// `streamflow serve --cluster` and `streamflow worker` in processes of their own.
@Suite(.tags(.process)) struct ClusterCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  @Test("Images through a gateway and a worker are those of one process, byte for byte")
  func images() async throws {
    let nats = try NATSServer()
    let gateway = try ServerProcess(runner, ["--cluster", nats.url, "--grace", "1"])
    let worker = runner.process(["worker", "--cluster", nats.url, "--name", "one"])
    worker.standardError = FileHandle.nullDevice
    try worker.run()
    defer {
      gateway.process.terminate()
      worker.terminate()
      nats.kill()
    }
    func ask(_ path: String, _ json: String? = nil) throws -> LoopbackClient.Answer {
      guard let json else { return try LoopbackClient.ask(gateway.port, "GET", path) }
      return try LoopbackClient.ask(gateway.port, "POST", path, json: json)
    }
    while try ask("/readyz").status != 200 { try await Task.sleep(for: .milliseconds(50)) }
    #expect(try ask("/v1/models")["data", "0", "id"] as? String == "starter")
    #expect(try ask("/v1/status")["workers", "0", "name"] as? String == "one")
    let answer = try ask(
      "/v1/images/generations", #"{"prompt": "a fox", "n": 2, "seed": 7, "steps": 2}"#)
    #expect(answer.status == 200, "\(answer.text)")
    let reference = try runner.run([
      "generate", "a fox", "--count", "2", "--seed", "7", "--steps", "2", "--quiet",
    ])
    #expect(reference.status == 0, "\(reference.error)")
    for (index, name) in try runner.files("out").enumerated() {
      let made = try #require(answer["data", "\(index)", "b64_json"] as? String)
      let file = try Data(contentsOf: URL(filePath: "\(runner.folder.path)/out/\(name)"))
      #expect(Data(base64Encoded: made) == file)
    }
    // A warning that only the model can give crosses the cluster too.
    let warned = try ask("/v1/images/generations", #"{"prompt": "a zeppelinx"}"#)
    let code = warned["warnings", "0", "code"] as? String
    #expect(code?.hasPrefix("unknown_") == true, "\(warned.text)")
    let stream = try ask("/v1/streams", #"{"prompt": "a fox"}"#)
    #expect(stream.status == 201, "\(stream.text)")
    let id = try #require(stream["id"] as? String)
    #expect(try ask("/v1/streams/\(id)")["model"] as? String == "starter")
    // It stops in an orderly way, with its stream, and the gateway knows at once.
    worker.terminate()
    worker.waitUntilExit()
    #expect(worker.terminationStatus == 0)
    while try ask("/v1/status")["workers", "0", "name"] != nil {
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(try ask("/v1/streams/\(id)").status == 404)
    let alone = try ask("/v1/images/generations", #"{"prompt": "a fox"}"#)
    #expect(alone.status == 503 && alone.headers["retry-after"] != nil, "\(alone.text)")
  }

  @Test("What is missing is said with its remedy")
  func failures() throws {
    let url = "nats://127.0.0.1:1"
    for (arguments, environment, status, words) in [
      (["worker"], [:], 64, "Missing --cluster"),
      (["serve", "--cluster", "127.0.0.1"], [:], 64, "an address such as nats://127.0.0.1:4222"),
      (["serve", "--cluster", url, "--model", "starter"], [:], 64, "workers have the models"),
      (["serve", "--cluster-key", "a.nk"], [:], 64, "--cluster-key needs --cluster"),
      (["serve", "--cluster", url, "--port", "0"], [:], 69, "nats-server --jetstream"),
      (
        ["worker", "--cluster", url], ["STREAMFLOW_NATS": "/nothing.so"], 69,
        "Scripts/setup.sh --nats"
      ),
      (
        ["worker", "--cluster", url, "--cluster-key", "absent.nk"], [:], 78,
        "cannot read the key's file"
      ),
    ] as [([String], [String: String], Int32, String)] {
      let outcome = try runner.run(arguments, environment: environment)
      #expect(outcome.status == status, "\(arguments) \(outcome.error)")
      #expect(outcome.error.contains(words), "\(outcome.error)")
    }
  }
}
