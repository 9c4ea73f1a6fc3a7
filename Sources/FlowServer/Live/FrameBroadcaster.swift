internal import Synchronization

/// Sends the events of a live stream to all viewers; slow viewers lose the oldest messages.
final class FrameBroadcaster: Sendable {
  /// A message to viewers.
  enum Message: Sendable {
    /// A line of JSON.
    case text(String)
    /// A line of JSON, and the image that it describes.
    case picture(String, [UInt8])
  }

  private struct State {
    var viewers: [Int: AsyncStream<Message>.Continuation] = [:]
    var next = 0
    var isEnded = false
  }

  private let state = Mutex(State())

  /// The messages from now on.
  ///
  /// - Parameter depth: the maximum number of messages buffered for a slow viewer.
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

  /// Sends a message to all viewers.
  func send(_ message: Message) {
    // Outside the lock, since a viewer's termination handler may take it.
    for viewer in state.withLock({ Array($0.viewers.values) }) { viewer.yield(message) }
  }

  /// Ends all viewers' streams.
  func end() {
    let viewers = state.withLock { state in
      state.isEnded = true
      defer { state.viewers = [:] }
      return Array(state.viewers.values)
    }
    for viewer in viewers { viewer.finish() }
  }
}
