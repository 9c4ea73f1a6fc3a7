import FlowEngine
import FlowTestSupport
import Foundation

/// Runs the built `streamflow` as a user runs it, in a folder of its own.
struct CommandRunner {
  struct Outcome {
    let status: Int32
    let output: String
    let error: String
  }

  let folder: TemporaryFolder

  /// The engine cache: that of all tests, unless a test looks into its own.
  let cacheFolder: String

  /// - Parameter ownsCache: whether the cache is empty initially, in the folder itself.
  init(ownsCache: Bool = false) throws {
    folder = try TemporaryFolder()
    cacheFolder = ownsCache ? "\(folder.path)/cache" : EngineCache.ofTests.folder
  }

  func process(
    _ arguments: [String], environment: [String: String] = [:]
  ) -> Process {
    let process = Process()
    process.executableURL = URL(filePath: BuiltCommand.path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(filePath: folder.path)
    process.environment = ProcessInfo.processInfo.environment
      // Images are compared with those of the library, whose default is float32 on every machine.
      .merging([
        "STREAMFLOW_CACHE": cacheFolder, "STREAMFLOW_PRECISION": "f32",
        "STREAMFLOW_STARTER": Starter64.folder,
      ]) { $1 }
      .merging(environment) { $1 }
    return process
  }

  func run(
    _ arguments: [String], environment: [String: String] = [:]
  ) throws -> Outcome {
    let process = process(arguments, environment: environment)
    // Files rather than pipes: neither side waits for the other to read.
    let paths = ["\(folder.path)/stdout", "\(folder.path)/stderr"]
    for path in paths { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardOutput = FileHandle(forWritingAtPath: paths[0])
    process.standardError = FileHandle(forWritingAtPath: paths[1])
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    let texts = try paths.map {
      String(decoding: try Data(contentsOf: URL(filePath: $0)), as: UTF8.self)
    }
    return Outcome(status: process.terminationStatus, output: texts[0], error: texts[1])
  }

  /// Runs a line of a shell in the folder, `streamflow` being the built command.
  @discardableResult
  func shell(_ line: String) throws -> (status: Int32, output: String) {
    let process = process([])
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = [
      "-o", "pipefail", "-c", "streamflow() { '\(BuiltCommand.path)' \"$@\"; }; \(line)",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
  }

  func files(_ name: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/\(name)").sorted()
  }
}
