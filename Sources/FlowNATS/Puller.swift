internal import Dispatch
internal import Foundation
internal import Synchronization

/// Takes messages from consumers, one pull at a time.
///
/// A message that is pulled comes under the subject that it was stored with, not under that of the
/// request, so that several pulls cannot be told apart by it: this has a subscription of its own, and
/// what comes is the answer to the current pull.
public final class Puller: Sendable {
  private let connection: NATSConnection
  private let inbox: String
  private let subscription: NATSSubscription
  private let slot: Slot
  private let turn = Turn()

  /// A server answers a pull that does not wait at once; one of a consumer that is not there it may
  /// not answer at all.
  private static let timeout = Duration.seconds(2)

  /// The current pull.
  private final class Slot: Sendable {
    private struct State {
      var number = 0
      var waiting: CheckedContinuation<NATSMessage, any Error>?
    }

    private let state = Mutex(State())

    func wait(_ continuation: CheckedContinuation<NATSMessage, any Error>) -> Int {
      state.withLock { state in
        state.number += 1
        state.waiting = continuation
        return state.number
      }
    }

    /// Ends the pull of a number, if it is the current one.
    func fail(_ number: Int, _ error: any Error) {
      take(number)?.resume(throwing: error)
    }

    /// Hands an answer over; false where nobody waits.
    func receive(_ message: NATSMessage) -> Bool {
      guard let waiting = take(nil) else { return false }
      waiting.resume(returning: message)
      return true
    }

    private func take(_ number: Int?) -> CheckedContinuation<NATSMessage, any Error>? {
      state.withLock { state in
        guard number == nil || number == state.number else { return nil }
        defer { state.waiting = nil }
        return state.waiting
      }
    }
  }

  /// Begins to listen for messages.
  public init(_ stream: JetStream) throws(NATSError) {
    let (connection, slot) = (stream.connection, Slot())
    (self.connection, self.slot) = (connection, slot)
    inbox = connection.newInbox()
    subscription = try connection.subscribe(inbox) { [weak connection] message in
      // A job that arrives after its pull has ended is returned at once.
      guard !slot.receive(message), let reply = message.reply, reply.hasPrefix("$JS.ACK.") else {
        return
      }
      connection?.post(NATSMessage(reply, payload: Array("-NAK".utf8)))
    }
  }

  /// The next message of a consumer; nil where there is none now.
  ///
  /// - Throws: `noResponders` or `timeout` where there is no such consumer.
  public func next(of consumer: String, in stream: String) async throws -> Delivery? {
    await turn.take()
    defer { turn.give() }
    struct Request: Encodable {
      let batch = 1
      let no_wait = true
    }
    let request = NATSMessage(
      "$JS.API.CONSUMER.MSG.NEXT.\(stream).\(consumer)", reply: inbox,
      payload: Array(try JSONEncoder().encode(Request())))
    let (slot, connection) = (slot, connection)
    let message = try await withCheckedThrowingContinuation { continuation in
      let number = slot.wait(continuation)
      Task {
        do { try await connection.publish(request) } catch { slot.fail(number, error) }
      }
      DispatchQueue.global().asyncAfter(deadline: .now() + Self.timeout.timeInterval) {
        slot.fail(
          number,
          NATSError(.timeout, "no answer to a pull of '\(consumer)'; is there such a consumer?"))
      }
    }
    switch message.status {
    case nil: return try Delivery(message, connection)
    // No message, or as many as may be pending.
    case 404, 408, 409: return nil
    case 503: throw NATSError(.noResponders, "there is no consumer '\(consumer)'")
    case let status?:
      throw NATSError(
        .answerInvalid,
        "the consumer '\(consumer)' answers \(status) \(message.headers["Description"] ?? "")")
    }
  }
}
