internal import FlowHub
internal import Foundation
internal import Synchronization

/// Shows the progress of a download: a bar on a terminal, a line for each file elsewhere.
final class PullProgress: Sendable {
  private struct State {
    var fileCount = 0
    var finishedCount = 0
    var byteCount = 0
    var foundByteCount = 0
    var receivedByteCount = 0
    var start = ContinuousClock.now
    var lastDrawing: ContinuousClock.Instant?
    var isOver = false
  }

  private let style: GenerationRun.Style
  private let state = Mutex(State())

  init(style: GenerationRun.Style) { self.style = style }

  private var drawsBar: Bool { style == .plain && Terminal.isInteractive }

  func show(_ event: HubPull.Event) {
    // Inside the lock, so that lines are not interleaved.
    state.withLock { state in
      switch event {
      case .planned(let fileCount, let byteCount):
        (state.fileCount, state.byteCount) = (fileCount, byteCount)
        state.start = .now
      case .found(let byteCount):
        state.foundByteCount += byteCount
        draw(&state)
      case .received(let byteCount):
        state.receivedByteCount += byteCount
        draw(&state)
      case .finished(let path, let byteCount):
        state.finishedCount += 1
        guard style == .plain else { return }
        let line = "\(path)  \(Size.text(byteCount))"
        if drawsBar { Terminal.note(line) } else { Terminal.output(line) }
        state.lastDrawing = nil
        draw(&state)
      case .waiting(let path):
        guard style == .plain else { return }
        Terminal.note("waiting for another download of '\(path)'")
      case .retrying(let reason, let delay):
        guard style != .quiet else { return }
        let wait = delay > .zero ? String(format: "in %.0f s", delay.seconds) : "from its start"
        Terminal.warning("\(reason); again \(wait)")
      }
    }
  }

  /// Erases the bar; nothing is drawn after that.
  func finish() {
    state.withLock { state in
      if drawsBar, !state.isOver { Terminal.wipe() }
      state.isOver = true
    }
  }

  private func draw(_ state: inout State) {
    guard drawsBar, !state.isOver, state.byteCount > 0 else { return }
    let now = ContinuousClock.now
    if let last = state.lastDrawing, now - last < .milliseconds(100) { return }
    state.lastDrawing = now
    let bar = TransferBar(
      foundByteCount: state.foundByteCount, receivedByteCount: state.receivedByteCount,
      byteCount: state.byteCount,
      seconds: (now - state.start).seconds)
    Terminal.draw("\(bar.text)  \(state.finishedCount)/\(state.fileCount) files")
  }
}

/// A bar with bytes, rate and remaining time.
struct TransferBar {
  let foundByteCount: Int
  let receivedByteCount: Int
  let byteCount: Int
  let seconds: Double

  var text: String {
    let width = 24
    let doneByteCount = foundByteCount + receivedByteCount
    let part = min(max(Double(doneByteCount) / Double(max(byteCount, 1)), 0), 1)
    let filled = Int(part * Double(width))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let rate = seconds > 0 ? Double(receivedByteCount) / seconds : 0
    var text = "\(bar) \(Size.text(doneByteCount)) of \(Size.text(byteCount))"
    if rate > 0, seconds > 0.5 {
      text +=
        ", \(Size.text(Int(rate)))/s, \(Self.words(Double(byteCount - doneByteCount) / rate)) left"
    }
    return text
  }

  private static func words(_ seconds: Double) -> String {
    let seconds = Int(min(max(seconds, 0), 360_000).rounded())
    return seconds < 120
      ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
  }
}
