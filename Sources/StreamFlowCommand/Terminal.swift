internal import FlowModels
internal import Foundation
internal import StreamFlow
internal import Synchronization

/// Standard output and standard error.
///
/// Lines are redrawn with a carriage return and spaces, so that no escape code is ever written.
enum Terminal {
  /// Whether standard error is a terminal on which a line can be redrawn.
  static let isInteractive = canRedraw(
    isTerminal: isatty(STDERR_FILENO) == 1, environment: ProcessInfo.processInfo.environment)

  /// The width in columns of the line that was drawn last.
  private static let drawnColumns = Mutex(0)

  static func canRedraw(isTerminal: Bool, environment: [String: String]) -> Bool {
    isTerminal && environment["TERM"] != "dumb"
  }

  /// The width of the terminal in columns.
  static var columns: Int {
    var size = winsize()
    if unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 {
      return Int(size.ws_col)
    }
    return ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 80
  }

  /// Whether text outside ASCII can be shown.
  static let isUnicode: Bool = {
    let environment = ProcessInfo.processInfo.environment
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }
      .first { !$0.isEmpty }
    // No locale at all is common in containers, whose terminals show UTF-8.
    return locale.map { $0.lowercased().replacing("-", with: "").contains("utf8") } ?? true
  }()

  /// Whether standard output is a terminal.
  private static let showsOutput = isatty(STDOUT_FILENO) == 1

  static func output(_ line: String) {
    let line = showsOutput ? line.printable : line
    _ = write(Array((line + "\n").utf8), to: STDOUT_FILENO)
  }

  /// Writes bytes to standard output; false if the reader has closed it.
  static func output(_ bytes: [UInt8]) -> Bool { write(bytes, to: STDOUT_FILENO) }

  static func error(_ message: String) { note("error: \(message)") }

  static func warning(_ message: String) { note("warning: \(message)") }

  /// Prints a line to standard error; a drawn line is erased first.
  static func note(_ line: String) {
    let line = line.printable
    drawnColumns.withLock { drawn in
      _ = write(Array((erasure(of: drawn) + line + "\n").utf8), to: STDERR_FILENO)
      drawn = 0
    }
  }

  /// Draws a line that the next one replaces, truncated to the width of the terminal.
  static func draw(_ line: String) {
    let width = max(columns - 1, 1)
    let line = line.printable.prefix(width)
    drawnColumns.withLock { drawn in
      let rest = String(repeating: " ", count: max(min(drawn, width) - line.count, 0))
      _ = write(Array(("\r" + line + rest).utf8), to: STDERR_FILENO)
      drawn = line.count
    }
  }

  /// Erases the line that was drawn last.
  static func wipe() {
    drawnColumns.withLock { drawn in
      _ = write(Array(erasure(of: drawn).utf8), to: STDERR_FILENO)
      drawn = 0
    }
  }

  private static func erasure(of drawn: Int) -> String {
    let count = min(drawn, max(columns - 1, 1))
    return drawn > 0 ? "\r" + String(repeating: " ", count: count) + "\r" : ""
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var bytes = bytes[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      // A closed pipe ends the output, not the work.
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}

extension Duration {
  /// The duration in seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
