internal import Synchronization

/// Hands what happens in a live stream to everyone who looks; who is slow misses the oldest.
final class FrameBroadcaster: Sendable {
  /// What a viewer is told.
  enum Message: Sendable {
    /// A line of JSON.
    case text(String)
    /// A line of JSON, and the image that it speaks of.
    case picture(String, [UInt8])
  }

  private struct State {
    var viewers: [Int: AsyncStream<Message>.Continuation] = [:]
    var next = 0
    var isEnded = false
  }

  private let state = Mutex(State())

  /// What happens from now on.
  ///
  /// - Parameter depth: the most messages that wait for a slow viewer.
  func messages(depth: Int) -> AsyncStream<Message> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Message.self, bufferingPolicy: .bufferingNewest(depth))
    let number = state.withLock { state -> Int? in
      guard !state.isEnded else { return nil }
      state.next += 1
      state.viewers[state.next] = continuation
      return state.next
    }
    guard let number else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in
      self?.state.withLock { state in state.viewers[number] = nil }
    }
    return stream
  }

  /// The number of viewers.
  var viewerCount: Int { state.withLock { $0.viewers.count } }

  /// Tells everyone something.
  func send(_ message: Message) {
    // Not under the lock: a viewer's end may take it.
    for viewer in state.withLock({ Array($0.viewers.values) }) { viewer.yield(message) }
  }

  /// Ends what everyone sees.
  func end() {
    let viewers = state.withLock { state in
      state.isEnded = true
      defer { state.viewers = [:] }
      return Array(state.viewers.values)
    }
    for viewer in viewers { viewer.finish() }
  }
}
