import FlowTestSupport
import Foundation
import Testing

/// Kills real servers at random moments: `STREAMFLOW_KILL_COUNT` times, 3 unless it is set.
@Suite(.serialized, .tags(.process)) struct JobSurvivalTests {
  private static let imageCount = 160
  private static let order = #"{"prompts": ["a fox", "sushi"], "n": 80, "seed": 11, "steps": 1}"#
  private static let longOrder = #"{"prompt": "a fox", "n": 1000, "steps": 50}"#
  private static let killCount =
    ProcessInfo.processInfo.environment["STREAMFLOW_KILL_COUNT"].flatMap { Int($0) } ?? 3

  /// A server and its jobs.
  private final class JobServer {
    private let server: ServerProcess
    var process: Process { server.process }
    var port: Int { server.port }

    init(_ runner: CommandRunner, _ arguments: [String], grace: Int = 5) throws {
      server = try ServerProcess(
        runner, ["--max-rows", "4", "--grace", "\(grace)"] + arguments)
    }

    /// Ends it at once, as the system does when memory runs out.
    func kill() {
      Foundation.kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }

    func ask(_ method: String, _ path: String) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(port, method, path)
    }

    /// The seeds of a job's finished images, by their indices.
    func finished(_ id: String) throws -> [Int: Int] {
      let answer = try ask("GET", "/v1/jobs/\(id)")
      let images = try #require(answer["images"] as? [[String: Any]], "\(answer.text)")
      var seeds: [Int: Int] = [:]
      for image in images { seeds[image["index"] as? Int ?? -1] = image["seed"] as? Int }
      return seeds
    }

    func start(_ order: String = order) throws -> String {
      let answer = try LoopbackClient.ask(port, "POST", "/v1/jobs", json: order)
      return try #require(answer["id"] as? String, "\(answer.text)")
    }

    func finish(_ id: String) async throws {
      while try ask("GET", "/v1/jobs/\(id)")["status"] as? String != "done" {
        try await Task.sleep(for: .milliseconds(50))
      }
    }

    func images(_ id: String) throws -> [[UInt8]] {
      try (0..<imageCount).map { try ask("GET", "/v1/jobs/\(id)/images/\($0)").body }
    }
  }

  @Test("A server killed in the middle of a job loses no image, and continues to the same bytes")
  func kills() async throws {
    let runner = try CommandRunner()
    let state = ["--state", "\(runner.folder.path)/state"]
    var server = try JobServer(runner, ["--state", "\(runner.folder.path)/reference"])
    let reference = try server.start()
    try await server.finish(reference)
    let expected = try server.images(reference)
    server.kill()
    #expect(Set(expected).count > 130)

    server = try JobServer(runner, state)
    var id = try server.start()
    var inMiddle = 0
    for number in 0..<Self.killCount {
      // Every third server is killed at any moment, also while it starts; the others once they have
      // made some images more, long before the last.
      if number % 3 == 2 {
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...500)))
      } else {
        let goal = try server.finished(id).count + Int.random(in: 1...30)
        while try server.finished(id).count < min(goal, Self.imageCount) {
          try await Task.sleep(for: .milliseconds(2))
        }
      }
      let seen = try server.finished(id)
      server.kill()
      if (1..<Self.imageCount).contains(seen.count) { inMiddle += 1 }
      server = try JobServer(runner, state)
      let found = try server.finished(id)
      // What was there before is there after, with the same seeds.
      #expect(found.merging(seen) { $1 } == found)
      guard found.count == Self.imageCount else { continue }
      try await server.finish(id)
      #expect(try server.images(id) == expected)
      id = try server.start()
    }
    try await server.finish(id)
    #expect(try server.images(id) == expected)
    let list = try server.ask("GET", "/v1/jobs?status=done")
    #expect(list["data", "0", "id"] as? String == id)
    // A stop by signal suspends a job at once, however long it would take.
    let last = try server.start(Self.longOrder)
    while try server.ask("GET", "/v1/jobs/\(last)")["done"] as? Int ?? 0 < 1 {
      try await Task.sleep(for: .milliseconds(2))
    }
    server.process.terminate()
    server.process.waitUntilExit()
    #expect(server.process.terminationStatus == 0)
    server = try JobServer(runner, state)
    let suspended = try server.ask("GET", "/v1/jobs/\(last)")
    #expect(["queued", "running"].contains(suspended["status"] as? String), "\(suspended.text)")
    #expect((1..<1000).contains(suspended["done"] as? Int ?? 0), "\(suspended.text)")
    server.kill()
    #expect(
      inMiddle > Self.killCount / 3, "\(inMiddle) of \(Self.killCount) in the middle of a job")
    print("killed \(Self.killCount) servers, \(inMiddle) of them in the middle of a job")
  }

  @Test("Without a state folder that is said once, and nothing is left; with one it is not said")
  func words() throws {
    let runner = try CommandRunner()
    let results = "\(runner.folder.path)/results"
    for (arguments, isSaid) in [
      (["--results", results], true),
      (["--state", "\(runner.folder.path)/s", "--results", results], false),
    ] {
      let outcome = try Self.brief(runner, arguments)
      let count = outcome.components(separatedBy: "jobs are lost when the server stops").count - 1
      #expect(count == (isSaid ? 1 : 0), "\(outcome)")
    }
    #expect(try runner.files("results").isEmpty)
    #expect(try runner.files("s") == ["images", "jobs.sqlite", "lock"])
  }

  /// The standard error of a server that is stopped as soon as it listens.
  private static func brief(_ runner: CommandRunner, _ arguments: [String]) throws -> String {
    let process = runner.process(["serve", "--port", "0"] + arguments)
    let path = "\(runner.folder.path)/stderr-\(UUID().uuidString)"
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: path)
    try process.run()
    func text() throws -> String {
      String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }
    while try !text().contains("listening on"), process.isRunning { usleep(20_000) }
    usleep(200_000)
    process.terminate()
    process.waitUntilExit()
    return try text()
  }

  @Test("SIGTERM beyond the grace period answers clients: 503, or an error event in a stream")
  func grace() async throws {
    let runner = try CommandRunner()
    let server = try JobServer(runner, [], grace: 0)
    let body = #"{"prompt": "a fox", "n": 16, "steps": 100, "stream": STREAM}"#
    let curls = try ["false", "true"].map { stream in
      let curl = Process()
      curl.executableURL = URL(filePath: "/usr/bin/env")
      curl.arguments = [
        "curl", "--silent", "--no-buffer", "--write-out", "\nstatus %{http_code}",
        "http://127.0.0.1:\(server.port)/v1/images/generations", "--json",
        body.replacing("STREAM", with: stream),
      ]
      let output = Pipe()
      curl.standardOutput = output
      try curl.run()
      return (curl, output)
    }
    // Until images of both are in flight.
    func flying() throws -> Set<String> {
      let status = try server.ask("GET", "/v1/status")
      let rows = status["models", "0", "batches", "0", "rows"] as? [[String: Any]] ?? []
      return Set(rows.compactMap { $0["request"] as? String })
    }
    while try flying().count < 2 { try await Task.sleep(for: .milliseconds(10)) }
    server.process.terminate()
    server.process.waitUntilExit()
    let texts = curls.map { curl, output in
      let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      curl.waitUntilExit()
      return text
    }
    #expect(texts[0].contains("shutting_down") && texts[0].hasSuffix("status 503"), "\(texts[0])")
    #expect(texts[1].contains("event: error") && texts[1].hasSuffix("status 200"), "\(texts[1])")
  }
}
