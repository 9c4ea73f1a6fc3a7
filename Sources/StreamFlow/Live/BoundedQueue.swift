internal import FlowModels

/// A queue of bounded length between two tasks: putting waits for room, taking waits for elements.
///
/// One task takes. Closing the queue resumes all waiting tasks; finishing it lets the taker drain
/// it first.
actor BoundedQueue<Element: Sendable> {
  /// The maximum number of waiting elements.
  nonisolated let capacity: Int

  private var elements: [Element] = []
  private var putters: [Waiter] = []
  private var taker: Waiter?
  private var isEnded = false
  /// Whether elements are held back.
  private(set) var isOnHold = false
  private var nextWaiter = 0

  private struct Waiter {
    let id: Int
    let continuation: CheckedContinuation<Void, Never>
  }

  /// - Precondition: the capacity is positive.
  init(capacity: Int) {
    precondition(capacity > 0, "a queue has room for an element, got \(capacity)")
    self.capacity = capacity
  }

  /// The number of waiting elements.
  var count: Int { elements.count }

  /// The number of tasks that wait for room or for elements.
  var waiterCount: Int { putters.count + (taker == nil ? 0 : 1) }

  /// Appends an element, waiting for room; false if the queue has ended or the task is cancelled.
  func put(_ element: Element) async -> Bool {
    while !isEnded, elements.count >= capacity, !Task.isCancelled { await wait(isTaker: false) }
    guard !isEnded, !Task.isCancelled else {
      // The task may have been resumed for room that it does not take.
      if elements.count < capacity { wakePutter() }
      return false
    }
    elements.append(element)
    wakeTaker()
    return true
  }

  /// Appends an element at once.
  ///
  /// If there is no room, the oldest element that may be dropped makes room and is returned, or
  /// this element if none may.
  func offer(_ element: Element, mayDrop: (Element) -> Bool) -> Offer {
    guard !isEnded else { return .ended }
    guard elements.count >= capacity else {
      elements.append(element)
      wakeTaker()
      return .taken(dropped: nil)
    }
    guard let index = elements.firstIndex(where: mayDrop) else {
      return .taken(dropped: element)
    }
    let dropped = elements.remove(at: index)
    elements.append(element)
    return .taken(dropped: dropped)
  }

  /// The result of an offer.
  enum Offer {
    case taken(dropped: Element?)
    case ended
  }

  /// The next element; nil once the queue has ended and is empty, or if the task is cancelled.
  func next() async -> Element? {
    while !Task.isCancelled {
      if let element = takeNow() { return element }
      if isEnded { return nil }
      await wait(isTaker: true)
    }
    return nil
  }

  /// The next element, if there is one now.
  func takeNow() -> Element? {
    guard !elements.isEmpty, !isOnHold else { return nil }
    wakePutter()
    return elements.removeFirst()
  }

  /// The next elements, at least one and at most the limit; empty once the queue has ended and is
  /// empty.
  func nextBatch(limit: Int) async -> [Element] {
    var batch: [Element] = []
    if let first = await next() { batch.append(first) }
    while !batch.isEmpty, batch.count < limit, let more = takeNow() { batch.append(more) }
    return batch
  }

  /// Holds elements back, or releases them.
  func hold(_ isOnHold: Bool) {
    self.isOnHold = isOnHold
    if !isOnHold { wakeTaker() }
  }

  /// Accepts no more elements; the remaining ones can still be taken.
  func finish() {
    isEnded = true
    isOnHold = false
    wakeTaker()
    while !putters.isEmpty { wakePutter() }
  }

  /// Accepts no more elements, and returns those that remain.
  func close() -> [Element] {
    let left = elements
    elements = []
    finish()
    return left
  }

  // MARK: - Waiting

  private func wait(isTaker: Bool) async {
    let id = nextWaiter
    nextWaiter += 1
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // Cancelled before it could wait: the handler found no task to resume.
        guard !Task.isCancelled else { return continuation.resume() }
        let waiter = Waiter(id: id, continuation: continuation)
        if isTaker {
          precondition(taker == nil, "one task takes from a queue")
          taker = waiter
        } else {
          putters.append(waiter)
        }
      }
    } onCancel: {
      Task { await self.wake(id) }
    }
  }

  private func wake(_ id: Int) {
    if taker?.id == id { wakeTaker() }
    guard let index = putters.firstIndex(where: { $0.id == id }) else { return }
    putters.remove(at: index).continuation.resume()
  }

  private func wakeTaker() {
    taker?.continuation.resume()
    taker = nil
  }

  private func wakePutter() {
    guard !putters.isEmpty else { return }
    putters.removeFirst().continuation.resume()
  }
}
