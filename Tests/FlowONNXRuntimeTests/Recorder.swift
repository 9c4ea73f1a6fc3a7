import FlowTestSupport
import Foundation
import Testing

@testable import FlowONNXRuntime

/// A library that stands in for ONNX Runtime's and records what it is asked: `Fixtures/recorder.c`.
struct Recorder {
  /// What it is to be.
  struct Kind {
    var version = "1.32.0"
    var providers = ["CPUExecutionProvider"]
    /// The function that fails, and in what words.
    var refused: (function: String, reason: String) = ("nothing", "")
  }

  /// The runtime, loaded from the library.
  let runtime: ONNXRuntime
  private let folder: TemporaryFolder
  private let library: String

  init(_ kind: Kind = Kind()) throws {
    (folder, library) = try Self.compile(kind)
    runtime = try ONNXRuntime(candidates: [library])
  }

  /// Compiles the library, and gives its path and the folder that holds it.
  static func compile(_ kind: Kind) throws -> (TemporaryFolder, String) {
    let folder = try TemporaryFolder()
    #if canImport(Darwin)
      let library = "\(folder.path)/libonnxruntime.\(kind.version).dylib"
    #else
      let library = "\(folder.path)/libonnxruntime.so.\(kind.version)"
    #endif
    let names = kind.providers.map { "\"\($0)\"" }.joined(separator: ",")
    let definitions = [
      "-DVERSION=\"\(kind.version)\"", "-DPROVIDERS={\(names)}",
      "-DREFUSED=\"\(kind.refused.function)\"", "-DREASON=\"\(kind.refused.reason)\"",
    ]
    let status = try run(
      "clang", definitions + source("recorder.c") + ["-shared", "-fPIC", "-o", library])
    try #require(status == 0, "the recorder was not compiled")
    return (folder, library)
  }

  /// What compiles a file of the fixtures with the shim's declarations.
  static func source(_ name: String) throws -> [String] {
    let package = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../..").standardizedFileURL.path
    return [
      "-std=c11", "-Wall", "-Wextra", "-Werror", "-I",
      "\(package)/Sources/CONNXRuntime/include", Bundle.module.fixture(name),
    ]
  }

  /// Runs a command, and gives its status.
  static func run(_ command: String, _ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [command] + arguments
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// What was asked so far, a line for each call.
  func lines() throws -> [String] {
    typealias Recorded = @convention(c) () -> UnsafePointer<CChar>?
    let handle = unsafe dlopen(library, RTLD_NOW | RTLD_LOCAL)
    let symbol = try unsafe #require(unsafe dlsym(handle, "recorded"))
    let recorded = unsafe unsafeBitCast(symbol, to: Recorded.self)
    let text = try unsafe #require(unsafe recorded())
    return unsafe String(cString: text).split(separator: "\n").map(String.init)
  }
}
