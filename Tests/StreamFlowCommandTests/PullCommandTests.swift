import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

/// `streamflow pull`, run as a user runs it, against a hub on loopback.
@Suite(.tags(.process)) struct PullCommandTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let weights = FakeHub.File(
    "style.safetensors", (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 7) })

  private var repository: String { "\(folder.path)/hub/models--org--name" }

  private func process(
    _ arguments: [String], hub: String, environment: [String: String] = [:]
  ) -> Process {
    let process = Process()
    process.executableURL = URL(filePath: BuiltCommand.path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(filePath: folder.path)
    // A user's own settings stay out; where libraries are and how sanitizers run, does not.
    let kept = ProcessInfo.processInfo.environment.filter { name, _ in
      ["LD_LIBRARY_PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "TBB_ENABLE_SANITIZERS"].contains(name)
    }
    process.environment = kept.merging([
      "HOME": folder.path, "HF_HOME": folder.path, "HF_ENDPOINT": hub, "no_proxy": "127.0.0.1",
    ]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    return process
  }

  private func run(
    _ arguments: [String], hub: String, environment: [String: String] = [:]
  ) throws -> (status: Int32, output: String, error: String) {
    let process = process(arguments, hub: hub, environment: environment)
    let paths = ["\(folder.path)/stdout", "\(folder.path)/stderr"]
    for path in paths { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardOutput = FileHandle(forWritingAtPath: paths[0])
    process.standardError = FileHandle(forWritingAtPath: paths[1])
    try process.run()
    process.waitUntilExit()
    let texts = try paths.map { try String(contentsOfFile: $0, encoding: .utf8) }
    return (process.terminationStatus, texts[0], texts[1])
  }

  @Test("A pull says what it did, where the model is and what to do with it")
  func words() throws {
    let hub = try FakeHub([Self.weights])
    let outcome = try run(["pull", "org/name"], hub: hub.server.address)
    let snapshot = "\(repository)/snapshots/\(FakeHub.commit)"
    #expect(outcome.status == 0 && outcome.error.isEmpty)
    #expect(
      outcome.output == """
        style.safetensors  300.0 kB
        1 file, 300.0 kB downloaded: \(snapshot)
        streamflow generate "a castle by the sea" --model org/name

        """)
    struct Report: Decodable {
      struct File: Decodable {
        let path: String
        let byte_count: Int
      }
      let commit: String
      let folder: String
      let files: [File]
      let downloaded_byte_count: Int
    }
    let json = try run(["pull", "org/name", "--json"], hub: hub.server.address).output
    let report = try JSONDecoder().decode(Report.self, from: Data(json.utf8))
    #expect(report.folder == snapshot && report.commit == FakeHub.commit)
    #expect(report.files.map(\.path) == ["style.safetensors"])
    #expect(report.downloaded_byte_count == 0)
    let quiet = try run(["pull", "org/name", "--quiet"], hub: hub.server.address)
    #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.error.isEmpty)
  }

  @Test("A model that was pulled is one that can be named")
  func named() throws {
    let starter = Starter64.folder
    let paths = try #require(
      FileManager.default.enumerator(atPath: starter)?.allObjects as? [String])
    let files = try paths.sorted().filter { $0.contains(".") }.map { path in
      FakeHub.File(path, Array(try Data(contentsOf: URL(filePath: "\(starter)/\(path)"))))
    }
    let hub = try FakeHub(files)
    let pulled = try run(["pull", "org/name", "--quiet"], hub: hub.server.address)
    #expect(pulled.status == 0, "\(pulled.error)")
    hub.server.stop()
    let outcome = try run(
      ["inspect", "org/name"], hub: hub.server.address, environment: ["HF_HUB_OFFLINE": "1"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("model      name (\(repository)/snapshots/"))
    #expect(outcome.output.contains("64x64 pixels, 1 step, guidance 1.0"))
  }

  @Test("A pull that is killed leaves nothing that looks whole, and the next one continues")
  func killed() throws {
    let hub = try FakeHub([Self.weights]) { request, count in
      guard request.target.hasSuffix("safetensors"), count == 0 else { return nil }
      var reply = FakeHub.reply(Self.weights, to: request)
      (reply.cut, reply.hangs) = (100_000, true)
      return reply
    }
    let process = process(["pull", "org/name", "--quiet"], hub: hub.server.address)
    try process.run()
    let incomplete = "\(repository)/blobs/\(Self.weights.digest).incomplete"
    var waited = 0
    while try size(incomplete) < 100_000, waited < 600 {
      // Not a suspension: beside busy tests it could last longer than the hub is waited for.
      Thread.sleep(forTimeInterval: 0.05)
      waited += 1
    }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(!FileManager.default.fileExists(atPath: "\(repository)/refs/main"))
    #expect(
      try run(["inspect", "org/name"], hub: hub.server.address).error
        .contains("there is no model at 'org/name'"))
    let outcome = try run(["pull", "org/name"], hub: hub.server.address)
    #expect(outcome.output.contains("1 file, 200.0 kB downloaded"), "\(outcome.error)")
    #expect(
      hub.downloads == ["GET style.safetensors", "GET style.safetensors bytes=100000-"])
    let link = "\(repository)/snapshots/\(FakeHub.commit)/style.safetensors"
    #expect(try Array(Data(contentsOf: URL(filePath: link))) == Self.weights.contents)
  }

  private func size(_ path: String) throws -> Int {
    guard FileManager.default.fileExists(atPath: path) else { return 0 }
    return try Data(contentsOf: URL(filePath: path)).count
  }

  @Test("Ctrl-C ends a pull with exit code 130")
  func interrupted() throws {
    let hub = try FakeHub([Self.weights]) { request, _ in
      guard request.target.hasSuffix("safetensors") else { return nil }
      var reply = FakeHub.reply(Self.weights, to: request)
      (reply.cut, reply.hangs) = (100_000, true)
      return reply
    }
    let process = process(["pull", "org/name", "--quiet"], hub: hub.server.address)
    try process.run()
    var waited = 0
    while hub.downloads.isEmpty, waited < 600 {
      // Not a suspension: beside busy tests it could last longer than the hub is waited for.
      Thread.sleep(forTimeInterval: 0.05)
      waited += 1
    }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationStatus == 130 && process.terminationReason == .exit)
  }

  @Test(
    "A mistake is one line and an exit code",
    arguments: [
      (["pull", "name"], [:], 64, "error: 'name' is not the name of a model; expected org/name"),
      (["pull", "org/name", "--revision", "../x"], [:], 64, "error: '../x' is not a revision"),
      (
        ["pull", "org/name"], ["HF_HUB_OFFLINE": "1"], 69,
        "error: HF_HUB_OFFLINE is '1', so nothing is downloaded; unset it to pull models"
      ),
      (["pull", "org/name"], ["HF_HUB_CACHE": "/dev/null/x"], 73, "error: cannot make the folder"),
      (["pull", "org/other"], [:], 66, "error: there is no 'org/other' at http"),
      (
        ["pull", "org/name", "--include", "*.bin"], [:], 65, "error: no file of 'org/name' matches"
      ),
    ] as [([String], [String: String], Int32, String)])
  func mistakes(
    arguments: [String], environment: [String: String], status: Int32, expected: String
  ) throws {
    let hub = try FakeHub([Self.weights])
    let outcome = try run(arguments, hub: hub.server.address, environment: environment)
    #expect(outcome.status == status)
    #expect(outcome.error.hasPrefix(expected), "\(outcome.error)")
    // The usage follows the parser's own errors.
    if status != 64 { #expect(outcome.error.filter { $0 == "\n" }.count == 1) }
  }
}
