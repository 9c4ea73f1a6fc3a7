/// One worker at a time, in the order in which they came.
actor Turn {
  private var isTaken = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  /// Waits for the turn, and takes it.
  func take() async {
    guard isTaken else {
      isTaken = true
      return
    }
    // Handed over by who gives it back, so that nobody comes in between.
    await withCheckedContinuation { waiters.append($0) }
  }

  /// Gives the turn back.
  func give() {
    guard !waiters.isEmpty else {
      isTaken = false
      return
    }
    waiters.removeFirst().resume()
  }
}
