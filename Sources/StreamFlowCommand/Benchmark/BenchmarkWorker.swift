internal import Foundation
internal import Synchronization

/// A process that runs one case repeatedly.
final class BenchmarkWorker {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The seconds until it was ready.
  private(set) var readySeconds = 0.0
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var buffer = Data()

  /// The running processes, by their identifiers.
  private static let running = Mutex<Set<Int32>>([])

  /// Kills all running processes.
  ///
  /// They leave nothing half-written, and they inherit this process's ignored signals.
  static func stopAll() {
    running.withLock { for identifier in $0 { kill(identifier, SIGKILL) } }
  }

  private struct Answer: Decodable {
    let ready: Double?
    let error: String?
  }

  /// Starts the process and waits until it is ready.
  ///
  /// - Parameter command: the program and its arguments.
  init(_ command: [String]) throws {
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.standardInput = input
    process.standardOutput = output
    if ProcessInfo.processInfo.environment["STREAMFLOW_BENCHMARK_LOG"] == nil {
      process.standardError = FileHandle.nullDevice
    }
    try process.run()
    let identifier = process.processIdentifier
    _ = Self.running.withLock { $0.insert(identifier) }
    if Task.isCancelled { kill(identifier, SIGKILL) }
    // The child has its own copy of the read end. With ours closed, writing fails when the child
    // exits.
    try? input.fileHandleForReading.close()
    try? output.fileHandleForWriting.close()
    readySeconds = try answer(Answer.self).ready ?? 0
  }

  deinit { end() }

  /// Generates a number of images.
  func run(_ count: Int) throws -> BenchmarkSample {
    try input.fileHandleForWriting.write(contentsOf: Data("run \(count)\n".utf8))
    return try answer(BenchmarkSample.self)
  }

  /// Ends the process, and waits until it has released its memory.
  func end() {
    try? input.fileHandleForWriting.close()
    if process.isRunning { process.waitUntilExit() }
    forget()
  }

  private func forget() {
    _ = Self.running.withLock { [identifier = process.processIdentifier] in $0.remove(identifier) }
  }

  private func answer<Value: Decodable>(_ type: Value.Type) throws -> Value {
    let decoder = JSONDecoder()
    while true {
      let line = try nextLine()
      // Libraries of peers print to standard output too.
      guard line.first == UInt8(ascii: "{") else { continue }
      if let answer = try? decoder.decode(Answer.self, from: line), let error = answer.error {
        throw Failure(description: error)
      }
      if let value = try? decoder.decode(type, from: line) { return value }
    }
  }

  private func nextLine() throws -> Data {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer.removeSubrange(...end) }
        return buffer[..<end]
      }
      let data = output.fileHandleForReading.availableData
      guard !data.isEmpty else {
        process.waitUntilExit()
        forget()
        try Task.checkCancellation()
        throw Failure(
          description: "ended with \(process.terminationStatus) before it answered "
            + "(STREAMFLOW_BENCHMARK_LOG=1 shows its output)")
      }
      buffer += data
    }
  }
}
