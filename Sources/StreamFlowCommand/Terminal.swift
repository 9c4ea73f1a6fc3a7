internal import Foundation

/// Standard output and standard error.
enum Terminal {
  /// Whether standard error is a terminal, on which a line can be drawn over.
  static let isInteractive = isatty(STDERR_FILENO) == 1

  static func output(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

  static func error(_ message: String) { note("error: \(message)") }

  static func warning(_ message: String) { note("warning: \(message)") }

  /// A line on standard error; what was drawn there before is wiped.
  static func note(_ line: String) {
    write((isInteractive ? "\r\u{1b}[K" : "") + line + "\n", to: STDERR_FILENO)
  }

  /// Draws a line that the next one replaces.
  static func draw(_ line: String) { write("\r\u{1b}[K" + line, to: STDERR_FILENO) }

  /// Wipes what was drawn.
  static func wipe() { write("\r\u{1b}[K", to: STDERR_FILENO) }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      // A reader that has gone (a closed pipe) ends the output, not the work.
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }
}

/// A bar that fills, on a terminal; nothing elsewhere.
struct ProgressBar {
  let total: Int
  let isVisible: Bool
  private let start = ContinuousClock.now

  init(total: Int, isVisible: Bool) {
    self.total = total
    self.isVisible = isVisible && Terminal.isInteractive
  }

  func show(_ label: String) {
    guard isVisible else { return }
    Terminal.draw(label)
  }

  func advance(to done: Int) {
    guard isVisible else { return }
    let width = 30
    let filled = total > 0 ? width * done / total : width
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let seconds = (ContinuousClock.now - start).seconds
    let remaining = done > 0 ? seconds / Double(done) * Double(total - done) : 0
    let left = done > 0 && done < total ? String(format: "  %.0f s left", remaining) : ""
    Terminal.draw("\(bar) \(done)/\(total)\(left)")
  }

  func finish() {
    guard isVisible else { return }
    Terminal.wipe()
  }
}

extension Duration {
  /// The duration as a number of seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
