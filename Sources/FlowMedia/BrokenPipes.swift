internal import Foundation

/// Writing into a pipe whose reader has gone must be an error, not the end of the process.
enum BrokenPipes {
  /// Ignores the signal, once, unless the program handles it already.
  static let areErrors: Void = {
    let before = signal(SIGPIPE, SIG_IGN)
    if before != nil { signal(SIGPIPE, before) }
  }()
}
