internal import FlowModels

/// The pending events of each stream, and the tasks that wait for them.
struct EventBoxes {
  /// The number of unfinished images of each stream.
  private var outstanding: [Int: Int] = [:]
  private var events: [Int: [GenerationEvent]] = [:]
  private var waiters: [Int: CheckedContinuation<Void, Never>] = [:]

  /// The number of streams with unfinished images.
  var count: Int { outstanding.count }

  /// Whether a stream has unfinished images.
  func isOpen(_ stream: Int) -> Bool { outstanding[stream] != nil }

  /// Opens the box of a stream with a number of images.
  mutating func open(_ stream: Int, count: Int) {
    outstanding[stream] = count > 0 ? count : nil
  }

  /// Closes a box and resumes its waiting task.
  mutating func close(_ stream: Int) {
    events[stream] = nil
    outstanding[stream] = nil
    wake(stream)
  }

  /// Closes all boxes.
  mutating func closeAll() {
    for stream in Set(outstanding.keys).union(waiters.keys) { close(stream) }
  }

  /// Adds an event; it replaces older events of the same image that nobody has taken yet.
  mutating func put(_ event: GenerationEvent, into stream: Int) {
    guard isOpen(stream) else { return }
    events[stream]?.removeAll { $0.isReplaced(by: event) }
    events[stream, default: []].append(event)
  }

  /// Removes and returns the oldest event.
  mutating func take(from stream: Int) -> GenerationEvent? {
    guard var waiting = events[stream], !waiting.isEmpty else { return nil }
    let event = waiting.removeFirst()
    events[stream] = waiting.isEmpty ? nil : waiting
    if event.isLast { open(stream, count: outstanding[stream, default: 1] - 1) }
    return event
  }

  /// Registers a waiting task.
  ///
  /// A stream has one iterator; an earlier waiting task is resumed.
  mutating func wait(for stream: Int, _ waiter: CheckedContinuation<Void, Never>) {
    waiters.updateValue(waiter, forKey: stream)?.resume()
  }

  /// Resumes the task that waits for a stream.
  mutating func wake(_ stream: Int) { waiters.removeValue(forKey: stream)?.resume() }

  /// Resumes all tasks that have a pending event.
  mutating func wakeReady() {
    for stream in waiters.keys where events[stream] != nil { wake(stream) }
  }

  /// Resumes one of the waiting tasks.
  mutating func wakeOne() { waiters.popFirst()?.value.resume() }
}
