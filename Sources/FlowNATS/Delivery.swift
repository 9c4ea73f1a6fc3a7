/// A message of a work queue that was handed to this process, which must say what became of it.
///
/// It cannot be copied, and what ends it consumes it: answering twice does not compile. One that is let
/// go of without an answer is handed out again when its time is over.
public struct Delivery: ~Copyable, Sendable {
  /// The subject.
  public let subject: String
  /// The bytes.
  public let payload: [UInt8]
  /// The headers.
  public let headers: [String: String]
  /// How often it was handed out, this time included.
  public let count: Int
  /// Its number in the stream.
  public let sequence: UInt64
  /// How many more the consumer has.
  public let pendingCount: Int
  private let reply: String
  private let connection: NATSConnection

  /// Reads `$JS.ACK.<stream>.<consumer>.<count>.<sequence>.<consumer sequence>.<time>.<pending>`, or
  /// the same with a domain and an account before the stream.
  init(_ message: NATSMessage, _ connection: NATSConnection) throws(NATSError) {
    let tokens = message.reply?.split(separator: ".") ?? []
    let start = tokens.count >= 11 ? 4 : 2
    guard let reply = message.reply, tokens.count >= 9, tokens[0] == "$JS", tokens[1] == "ACK",
      let count = Int(tokens[start + 2]), let sequence = UInt64(tokens[start + 3]),
      let pending = Int(tokens[start + 6])
    else {
      throw NATSError(.answerInvalid, "'\(message.subject)' came without a way to acknowledge it")
    }
    (subject, payload, headers) = (message.subject, message.payload, message.headers)
    (self.count, self.sequence, pendingCount) = (count, sequence, pending)
    (self.reply, self.connection) = (reply, connection)
  }

  /// What says that the message is still being worked on.
  public struct Sign: Sendable {
    let reply: String
    let connection: NATSConnection

    /// Begins the time anew within which an answer is expected.
    public func working() { connection.post(NATSMessage(reply, payload: Array("+WPI".utf8))) }
  }

  /// What says that the message is still being worked on, from any task.
  public var sign: Sign { Sign(reply: reply, connection: connection) }

  /// Says that the work is done, and waits until the server has it.
  public consuming func acknowledge() async throws {
    _ = try await connection.request(NATSMessage(reply, payload: Array("+ACK".utf8)))
  }

  /// Returns it to the queue, for another process or a later time.
  public consuming func giveBack(after delay: Duration = .zero) async throws {
    let text = delay > .zero ? "-NAK {\"delay\": \(delay.nanoseconds)}" : "-NAK"
    try await connection.publish(NATSMessage(reply, payload: Array(text.utf8)))
  }

  /// Says that nobody can do it: it is not handed out again.
  public consuming func refuse() async throws {
    _ = try await connection.request(NATSMessage(reply, payload: Array("+TERM".utf8)))
  }
}
