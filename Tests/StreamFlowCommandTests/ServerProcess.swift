import Foundation
import Testing

/// `streamflow serve` in a process of its own, which listens.
struct ServerProcess {
  let process: Process
  let port: Int

  /// Starts a server, and waits until it listens.
  init(_ runner: CommandRunner, _ arguments: [String]) throws {
    process = runner.process(["serve", "--port", "0"] + arguments)
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    var (port, log) = (0, "")
    while port == 0 {
      let data = errors.fileHandleForReading.availableData
      try #require(!data.isEmpty, "it ended before it listened: \(log)")
      log += String(decoding: data, as: UTF8.self)
      if let range = log.range(of: "listening on http://127.0.0.1:"),
        let end = log[range.upperBound...].firstIndex(of: "\n")
      {
        port = Int(log[range.upperBound..<end]) ?? 0
      }
    }
    self.port = port
    errors.fileHandleForReading.readabilityHandler = { _ = $0.availableData }
  }
}
