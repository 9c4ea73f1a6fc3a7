internal import CNATS
internal import Synchronization

/// Messages of a subject, as they come.
///
/// They are buffered here; beyond a number of them, the oldest are dropped. Releasing
/// of the subscription ends it.
@safe
public final class NATSSubscription: Sendable {
  /// What comes.
  public let messages: AsyncStream<NATSMessage>
  private let library: NATSLibrary
  private nonisolated(unsafe) let handle: OpaquePointer

  /// What the library's thread hands messages to.
  final class Receiver: Sendable {
    let library: NATSLibrary
    let receive: @Sendable (NATSMessage) -> Void
    let finish: @Sendable () -> Void

    init(
      library: NATSLibrary, receive: @escaping @Sendable (NATSMessage) -> Void,
      finish: @escaping @Sendable () -> Void
    ) {
      self.library = library
      (self.receive, self.finish) = (receive, finish)
    }
  }

  @unsafe
  init(
    _ subject: String, group: String? = nil, of connection: OpaquePointer, library: NATSLibrary,
    bufferCount: Int, receive: (@Sendable (NATSMessage) -> Void)? = nil
  ) throws(NATSError) {
    let (stream, continuation) = AsyncStream.makeStream(
      of: NATSMessage.self, bufferingPolicy: .bufferingNewest(bufferCount))
    messages = stream
    self.library = library
    let receiver = Receiver(
      library: library, receive: receive ?? { continuation.yield($0) },
      finish: { continuation.finish() })
    let closure = unsafe Unmanaged.passRetained(receiver)
    var handle: OpaquePointer?
    let receive: natsMsgHandler = { _, _, message, closure in
      guard let message = unsafe message, let closure = unsafe closure else { return }
      let receiver = unsafe Unmanaged<Receiver>.fromOpaque(closure).takeUnretainedValue()
      let functions = receiver.library.functions
      let copy = unsafe NATSMessage(message, functions)
      unsafe functions.natsMsg_Destroy(message)
      receiver.receive(copy)
    }
    let functions = library.functions
    let status =
      if let group {
        unsafe functions.natsConnection_QueueSubscribe(
          &handle, connection, subject, group, receive, closure.toOpaque())
      } else {
        unsafe functions.natsConnection_Subscribe(
          &handle, connection, subject, receive, closure.toOpaque())
      }
    if let error = library.failure(status, "subscribe to '\(subject)'") {
      unsafe closure.release()
      throw error
    }
    guard let handle = unsafe handle else {
      unsafe closure.release()
      throw NATSError(.callFailed, "the NATS client made no subscription")
    }
    unsafe self.handle = handle
    // The library calls this when no further message can come: only then may the receiver go.
    let completion = unsafe library.functions.natsSubscription_SetOnCompleteCB(
      handle,
      { closure in
        guard let closure = unsafe closure else { return }
        let receiver = unsafe Unmanaged<Receiver>.fromOpaque(closure).takeRetainedValue()
        receiver.finish()
      }, closure.toOpaque())
    // Without it the receiver stays for the life of the process, which is harmless.
    _ = library.failure(completion, "watch a subscription")
  }

  /// Does something with each message, one after another, until the task is cancelled or the
  /// connection closed.
  public func forEach(_ body: (NATSMessage) async -> Void) async {
    for await message in messages { await body(message) }
    // It ends when nobody holds it.
    withExtendedLifetime(self) {}
  }

  deinit {
    _ = unsafe library.functions.natsSubscription_Unsubscribe(handle)
    unsafe library.functions.natsSubscription_Destroy(handle)
  }
}
