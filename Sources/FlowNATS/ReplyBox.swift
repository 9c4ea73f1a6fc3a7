internal import Synchronization

/// Requests that wait for their answers, by the last token of the subject that each comes to.
final class ReplyBox: Sendable {
  private struct State {
    var next = 0
    var waiting: [Int: CheckedContinuation<NATSMessage, any Error>] = [:]
    var isClosed = false
  }

  private let state = Mutex(State())

  /// A number for a request.
  func number() -> Int {
    state.withLock { state in
      state.next += 1
      return state.next
    }
  }

  /// Registers a wait for an answer.
  func wait(_ number: Int, _ continuation: CheckedContinuation<NATSMessage, any Error>) {
    let isClosed = state.withLock { state in
      if !state.isClosed { state.waiting[number] = continuation }
      return state.isClosed
    }
    if isClosed { continuation.resume(throwing: Self.closed) }
  }

  /// Ends a wait without an answer; nothing where it is over.
  func fail(_ number: Int, _ error: any Error) {
    state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(throwing: error)
  }

  /// Forwards an answer to its request, which may have ended.
  func receive(_ message: NATSMessage) {
    let number = message.subject.split(separator: ".").last.flatMap { Int($0) }
    let waiting = number.flatMap { number in
      state.withLock { $0.waiting.removeValue(forKey: number) }
    }
    waiting?.resume(returning: message)
  }

  /// Ends all waits.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for one in waiting { one.resume(throwing: Self.closed) }
  }

  private static let closed = NATSError(.closed, "the connection to the NATS server is closed")
}
