/// The clients that watch a job.
struct JobWatchers {
  private var continuations: [Int: AsyncStream<JobChange>.Continuation] = [:]
  private var next = 0

  /// A stream of one change.
  static func only(_ change: JobChange) -> AsyncStream<JobChange> {
    let (stream, continuation) = AsyncStream.makeStream(of: JobChange.self)
    continuation.yield(change)
    continuation.finish()
    return stream
  }

  /// Adds a client, which first receives a change of its own.
  mutating func add(_ first: JobChange) -> (stream: AsyncStream<JobChange>, number: Int) {
    // At most two changes per image are buffered: a slow client does not delay the job.
    let (stream, continuation) = AsyncStream.makeStream(of: JobChange.self)
    continuation.yield(first)
    continuations[next] = continuation
    next += 1
    return (stream, next - 1)
  }

  /// Calls a closure when a client has disconnected.
  func onEnd(of number: Int, _ action: @escaping @Sendable () -> Void) {
    continuations[number]?.onTermination = { _ in action() }
  }

  mutating func remove(_ number: Int) { continuations[number] = nil }

  /// Sends a change to all clients.
  func send(_ change: JobChange) {
    for continuation in continuations.values { continuation.yield(change) }
  }

  /// Ends all streams.
  mutating func finish() {
    for continuation in continuations.values { continuation.finish() }
    continuations = [:]
  }
}
