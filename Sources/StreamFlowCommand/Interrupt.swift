internal import Dispatch
internal import Foundation

/// Ctrl-C: the first one stops cleanly, the second at once.
enum Interrupt {
  /// Runs work as a task that SIGINT and SIGTERM cancel.
  static func cancelling<Result: Sendable>(
    _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    // A reader that has gone (`| head`) ends the output, not the work.
    signal(SIGPIPE, SIG_IGN)
    let task = Task { try await work() }
    let sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        task.cancel()
        signal(number, SIG_DFL)
      }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    return try await task.value
  }
}
