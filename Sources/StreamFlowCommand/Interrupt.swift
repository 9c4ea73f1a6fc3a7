internal import Dispatch
internal import Foundation

/// Signals that stop the command and keep its results: Ctrl-C, `kill`, and a closed terminal.
enum Interrupt {
  /// Runs work as a task that SIGINT, SIGTERM and SIGHUP cancel.
  ///
  /// A second SIGINT or SIGTERM ends the process at once. A second SIGHUP does not: a closing
  /// terminal sends several. SIGHUP stays ignored if it was ignored before (`nohup`).
  static func cancelling<Result: Sendable>(
    _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    // A closed pipe (`| head`) ends the output, not the work.
    signal(SIGPIPE, SIG_IGN)
    let task = Task { try await work() }
    let sources = [SIGINT, SIGTERM, SIGHUP].compactMap { number -> (any DispatchSourceSignal)? in
      if number == SIGHUP, ignoresHangup { return nil }
      ignore(number)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        task.cancel()
        if number != SIGHUP { signal(number, SIG_DFL) }
      }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    return try await task.value
  }

  /// Whether SIGHUP was ignored before the first work.
  private static let ignoresHangup = ignore(SIGHUP)

  /// Ignores a signal, and returns whether it was ignored already.
  @discardableResult
  private static func ignore(_ number: Int32) -> Bool {
    let before = signal(number, SIG_IGN)
    return unsafe unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
