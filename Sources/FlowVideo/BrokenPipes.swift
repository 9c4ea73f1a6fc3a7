internal import Foundation

/// Makes writing to a closed pipe an error instead of the end of the process.
enum BrokenPipes {
  /// Ignores the signal, once, unless the program handles it already.
  static let areErrors: Void = {
    let before = signal(SIGPIPE, SIG_IGN)
    if before != nil { signal(SIGPIPE, before) }
  }()
}
