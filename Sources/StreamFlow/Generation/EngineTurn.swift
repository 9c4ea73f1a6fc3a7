/// The turn of the engines: one runs at a time, in the order in which they came.
///
/// Each engine spreads its work over all cores; several at once are slower than one after another.
/// Generators and live streams that share a turn share a device so.
public actor EngineTurn {
  private var isTaken = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  /// Creates a turn that nobody has.
  public init() {}

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
