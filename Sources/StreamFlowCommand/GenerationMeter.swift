internal import Foundation
internal import StreamFlow
internal import Synchronization

/// Shows the finished steps and images of a run, and the remaining time.
///
/// The counts come from the generator between two batch steps. The line is redrawn independently,
/// so that the time continues during a long step.
final class GenerationMeter: Sendable {
  private struct State {
    var label: String?
    var imageCount = 0
    var evaluationCount = 0
    var remaining = RemainingTime()
  }

  let isVisible: Bool
  private let imageTotal: Int
  private let stepsPerImage: Int
  private let evaluationsPerImage: Int
  private let start = ContinuousClock.now
  private let state = Mutex(State())
  private let tasks = Mutex<[Task<Void, Never>]>([])

  /// Creates a meter.
  ///
  /// - Parameters:
  ///   - imageTotal: the number of images.
  ///   - stepsPerImage: the number of steps that the user asked for.
  ///   - evaluationsPerImage: the number of evaluations for these steps.
  ///   - isVisible: whether it is shown; if so, standard error is a terminal.
  init(imageTotal: Int, stepsPerImage: Int, evaluationsPerImage: Int, isVisible: Bool) {
    self.imageTotal = imageTotal
    self.stepsPerImage = stepsPerImage
    self.evaluationsPerImage = max(evaluationsPerImage, 1)
    self.isVisible = isVisible && Terminal.isInteractive
  }

  /// Shows a label instead of the counts.
  func show(_ label: String) {
    guard isVisible else { return }
    state.withLock { $0.label = label }
    draw()
  }

  /// Starts to follow a generator.
  func follow(_ generator: GeneratorPool) {
    guard isVisible else { return }
    state.withLock { $0.label = nil }
    draw()
    let polling = Task { [self] in
      while !Task.isCancelled {
        record(evaluations: await generator.finishedEvaluationCount)
        try? await Task.sleep(for: .milliseconds(50))
      }
    }
    let drawing = Task { [self] in
      while !Task.isCancelled {
        try? await Task.sleep(for: .milliseconds(250))
        guard !Task.isCancelled else { return }
        draw()
      }
    }
    tasks.withLock { $0 += [polling, drawing] }
  }

  /// Records the number of finished images, failed ones included.
  func record(images: Int) { state.withLock { $0.imageCount = images } }

  /// Stops and erases the line.
  func finish() async {
    let running = tasks.withLock { tasks in
      defer { tasks = [] }
      return tasks
    }
    for task in running { task.cancel() }
    for task in running { await task.value }
    if isVisible { Terminal.wipe() }
  }

  private func record(evaluations: Int) {
    let seconds = (ContinuousClock.now - start).seconds
    state.withLock { state in
      state.evaluationCount = max(state.evaluationCount, evaluations)
      state.remaining.record(done: state.evaluationCount, at: seconds)
    }
  }

  private func draw() {
    let seconds = (ContinuousClock.now - start).seconds
    let line = state.withLock { state in
      if let label = state.label { return label }
      let total = imageTotal * evaluationsPerImage
      let line = Self.line(
        images: (state.imageCount, imageTotal), evaluations: (state.evaluationCount, total),
        stepsPerImage: stepsPerImage,
        secondsLeft: state.remaining.secondsLeft(total: total, at: seconds))
      return line.text(columns: Terminal.columns - 1, isUnicode: Terminal.isUnicode)
    }
    Terminal.draw(line)
  }

  /// The line for some counts.
  static func line(
    images: (done: Int, total: Int), evaluations: (done: Int, total: Int), stepsPerImage: Int,
    secondsLeft: Double?
  ) -> ProgressLine {
    let fraction = evaluations.total > 0 ? Double(evaluations.done) / Double(evaluations.total) : 1
    // Steps in the user's terms: a solver may take two evaluations for one.
    let steps = stepsPerImage * images.total
    let done = Int(fraction * Double(steps))
    let counts =
      images.total == 1
      ? ["step \(done)/\(steps)", "\(done)/\(steps)"]
      : [
        "\(images.done)/\(images.total) images, \(done)/\(steps) steps",
        "\(images.done)/\(images.total) images", "\(images.done)/\(images.total)",
      ]
    return ProgressLine(fraction: fraction, counts: counts, secondsLeft: secondsLeft)
  }
}
