internal import FlowModels

/// What has happened to the images of each stream and is yet to be told, and who waits for it.
struct EventBoxes {
  /// How many images each stream still has to give.
  private var outstanding: [Int: Int] = [:]
  private var events: [Int: [GenerationEvent]] = [:]
  private var waiters: [Int: CheckedContinuation<Void, Never>] = [:]

  /// The number of streams that still have something to give.
  var count: Int { outstanding.count }

  /// Whether a stream still has something to give.
  func isOpen(_ stream: Int) -> Bool { outstanding[stream] != nil }

  /// Opens the box of a stream of so many images.
  mutating func open(_ stream: Int, count: Int) {
    outstanding[stream] = count > 0 ? count : nil
  }

  /// Closes a box; who waits is told.
  mutating func close(_ stream: Int) {
    events[stream] = nil
    outstanding[stream] = nil
    wake(stream)
  }

  /// Adds an event; it replaces older events of the same image that nobody has taken yet.
  mutating func put(_ event: GenerationEvent, into stream: Int) {
    guard isOpen(stream) else { return }
    events[stream]?.removeAll { $0.isReplaced(by: event) }
    events[stream, default: []].append(event)
  }

  /// Takes the oldest event out.
  mutating func take(from stream: Int) -> GenerationEvent? {
    guard var waiting = events[stream], !waiting.isEmpty else { return nil }
    let event = waiting.removeFirst()
    events[stream] = waiting.isEmpty ? nil : waiting
    if event.isLast { open(stream, count: outstanding[stream, default: 1] - 1) }
    return event
  }

  /// Lets someone wait; a stream has one iterator, but whoever waited before is not left behind.
  mutating func wait(for stream: Int, _ waiter: CheckedContinuation<Void, Never>) {
    waiters.updateValue(waiter, forKey: stream)?.resume()
  }

  /// Wakes who waits for a stream.
  mutating func wake(_ stream: Int) { waiters.removeValue(forKey: stream)?.resume() }

  /// Wakes all for whom there is something.
  mutating func wakeReady() {
    for stream in waiters.keys where events[stream] != nil { wake(stream) }
  }

  /// Wakes one of those who wait.
  mutating func wakeOne() { waiters.popFirst()?.value.resume() }
}
