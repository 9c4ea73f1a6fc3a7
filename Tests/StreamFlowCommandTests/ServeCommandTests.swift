import FlowImage
import FlowTestSupport
import Foundation
import Testing

@Suite(.tags(.process)) struct ServeCommandTests {
  @Test("It prints its address, answers, and ends cleanly on a signal, live streams included")
  func lifetime() throws {
    let runner = try CommandRunner()
    let server = try ServerProcess(
      runner, ["--max-rows", "2", "--grace", "600", "--results", runner.folder.path])
    let (process, port) = (server.process, server.port)
    defer { process.terminate() }
    #expect(try LoopbackClient.ask(port, "GET", "/healthz").text == "ok\n")
    let answer = try LoopbackClient.ask(
      port, "POST", "/v1/images/generations",
      json: #"{"prompt": "a fox", "steps": 1, "response_format": "url"}"#)
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try runner.files("").contains { $0.hasPrefix("streamflow-results-") })
    let opened = try LoopbackClient.ask(
      port, "POST", "/v1/streams", json: #"{"prompt": "x", "stages": 1}"#)
    #expect(opened.status == 201)
    let id = opened["id"] as? String ?? ""
    let viewer = try LoopbackClient(port: port)
    viewer.request("GET", "/v1/streams/\(id)/mjpeg")
    #expect(String(decoding: viewer.read(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    let start = ContinuousClock.now
    process.terminate()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0 && process.terminationReason == .exit)
    // A watching client does not delay the end until the grace period is over.
    #expect(ContinuousClock.now - start < .seconds(300))
    #expect(try !runner.files("").contains { $0.hasPrefix("streamflow-results-") })
  }

  /// Without an end that waits for the compiler, one in ten crashed.
  @Test("A server that is stopped while it compiles its first engines ends as always")
  func earlyEnd() throws {
    for milliseconds in stride(from: 0, to: 1200, by: 150) {
      let server = try ServerProcess(CommandRunner(ownsCache: true), [])
      usleep(UInt32(milliseconds) * 1000)
      server.process.terminate()
      server.process.waitUntilExit()
      #expect(server.process.terminationReason == .exit, "after \(milliseconds) ms")
      #expect(server.process.terminationStatus == 0, "after \(milliseconds) ms")
    }
  }

  @Test("A served model's adapters are offered, and one that does not fit is reported at once")
  func adapters() throws {
    let runner = try CommandRunner()
    let models = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../StreamFlowTests/Fixtures/models").standardizedFileURL.path
    let server = try ServerProcess(
      runner, ["--model", "\(models)/sd", "--adapter", "\(models)/controlnet", "--max-rows", "2"])
    defer { server.process.terminate() }
    let answer = try LoopbackClient.ask(server.port, "GET", "/v1/models/sd")
    #expect(
      answer["streamflow", "adapters", "0", "name"] as? String == "controlnet", "\(answer.text)")
    let misfit = try runner.run([
      "serve", "--port", "0", "--model", "starter,adapter=\(models)/controlnet",
    ])
    #expect(misfit.status != 0 && misfit.error.contains("another kind of model"), "\(misfit.error)")
  }

  @Test("A served model's own upscaler is the default for its images")
  func upscaler() throws {
    let runner = try CommandRunner()
    let model = "\(runner.folder.path)/own"
    try FileManager.default.copyItem(atPath: Starter64.folder, toPath: model)
    _ = try runner.folder.write(
      TinyUpscaler.compact(), as: "own/streamflow-upscaler.safetensors")
    for (arguments, upscaler) in [([], "own upscaler"), (["--upscaler", "lanczos"], "Lanczos")] {
      let server = try ServerProcess(runner, ["--model", model] + arguments)
      defer { server.process.terminate() }
      let offered = try LoopbackClient.ask(server.port, "GET", "/v1/models")
      #expect(
        offered["data", "0", "streamflow", "upscale"] as? Int == (arguments.isEmpty ? 4 : nil))
      let answer = try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations",
        json: #"{"prompt": "a fox", "steps": 1, "upscale": 4}"#)
      let text = try #require(answer["data", "0", "b64_json"] as? String, "\(answer.text)")
      let metadata = try ImageMetadata(of: Array(try #require(Data(base64Encoded: text))))
      #expect(metadata.parameters?.hasSuffix("Postprocess upscaler: \(upscaler)") == true)
    }
  }

  @Test("A server of which no model can be loaded ends, with one error")
  func noModel() throws {
    let runner = try CommandRunner()
    let outcome = try runner.run(["serve", "--port", "0", "--model", "starterr"])
    #expect(outcome.status == 66, "\(outcome.error)")
    #expect(outcome.error.contains("error: cannot load the model 'starterr': "))
    let lines = outcome.error.split(separator: "\n").filter { $0.contains("starterr") }
    #expect(lines.count == 1, "\(outcome.error)")
    #expect(!outcome.error.contains("listening"), "\(outcome.error)")
  }

  @Test("What cannot be served is reported before anything listens")
  func refusals() throws {
    let runner = try CommandRunner()
    let token = runner.folder.path + "/token"
    _ = FileManager.default.createFile(
      atPath: token, contents: Data("0123456789abcdefgh".utf8),
      attributes: [.posixPermissions: 0o644])
    let server = try MisbehavingServer { _ in MisbehavingServer.Reply(200) }
    for (arguments, status, words) in [
      (["--host", "0.0.0.0"], 78, "--token-file"),
      (["--token-file", token], 78, "chmod 600"),
      (["--port", "\(server.port)"], 78, "another port"),
      (["--port", "70000"], 64, "0 to 65535"),
      (["--model", "starter", "--model", "starter"], 64, "two models are named 'starter'"),
      (["--model", "a=starter,film=x"], 64, "[name=]model"),
      (
        ["--model", "starter", "--model", "b=starter", "--adapter", "canny"], 64,
        "--model starter,adapter=canny"
      ),
      (["--image-encoder", "clip"], 64, "need --adapter"),
      (["--queue", "0"], 64, "--queue must be 1 or more"),
      (["--allow-origin", "nowhere"], 78, "https://"),
    ] {
      let outcome = try runner.run(["serve"] + arguments)
      #expect(outcome.status == Int32(status), "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains(words), "\(arguments): \(outcome.error)")
    }
  }
}
