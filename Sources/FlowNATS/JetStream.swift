internal import Foundation

/// JetStream: streams that a NATS server stores, spoken as JSON over requests.
///
/// The client library's own functions for it take structures that grow between releases; requests do
/// not, and run unchanged from server 2.9 on.
public struct JetStream: Sendable {
  /// The connection.
  public let connection: NATSConnection

  /// Uses a connection.
  public init(_ connection: NATSConnection) { self.connection = connection }

  /// What the server says of a request that it refuses.
  struct Refusal: Decodable {
    let code: Int?
    let err_code: Int?
    let description: String?
  }

  private struct Envelope: Decodable { let error: Refusal? }

  /// Where a published message was stored.
  public struct Stored: Decodable, Sendable {
    /// The stream.
    public let stream: String
    /// The number in the stream.
    public let seq: UInt64
    /// Whether a message of this id was there already, and this one was dropped.
    public let duplicate: Bool?
  }

  /// A message of a stream.
  public struct Message: Sendable {
    /// The subject.
    public let subject: String
    /// The number in the stream.
    public let sequence: UInt64
    /// The bytes.
    public let payload: [UInt8]
  }

  // MARK: - Requests

  /// Makes a request of the server's interface.
  @discardableResult
  func api<Answer: Decodable>(
    _ subject: String, _ body: some Encodable, as type: Answer.Type
  ) async throws -> Answer {
    let encoder = JSONEncoder()
    let answer = try await connection.request(
      NATSMessage("$JS.API.\(subject)", payload: Array(try encoder.encode(body))))
    return try Self.decode(answer, of: subject)
  }

  /// Makes a request without parameters.
  func api<Answer: Decodable>(_ subject: String, as type: Answer.Type) async throws -> Answer {
    try Self.decode(
      try await connection.request(NATSMessage("$JS.API.\(subject)")), of: subject)
  }

  private static func decode<Answer: Decodable>(
    _ answer: NATSMessage, of subject: String
  ) throws -> Answer {
    let (decoder, data) = (JSONDecoder(), Data(answer.payload))
    if let refusal = (try? decoder.decode(Envelope.self, from: data))?.error {
      throw NATSError(
        .refused(refusal.err_code ?? refusal.code ?? 0),
        "the server refuses \(subject): \(refusal.description ?? "no reason given")")
    }
    do { return try decoder.decode(Answer.self, from: data) } catch {
      throw NATSError(.answerInvalid, "the answer to \(subject) is not understood: \(error)")
    }
  }

  // MARK: - Streams

  /// Makes a stream, unless one of that name is there, whose settings then count.
  public func ensure(_ stream: StreamConfiguration) async throws {
    do { _ = try await info(of: stream.name) } catch let error as NATSError
      where error.code == .streamMissing
    {
      do {
        try await api("STREAM.CREATE.\(stream.name)", stream, as: Ignored.self)
      } catch let error as NATSError where error.code == .streamExists {}
    }
  }

  struct Ignored: Decodable {}

  /// What a stream holds.
  public func info(of stream: String) async throws -> StreamInformation {
    try await api("STREAM.INFO.\(stream)", as: StreamInformation.self)
  }

  /// The subjects of a stream that match a pattern.
  public func subjects(_ pattern: String, of stream: String) async throws -> [String] {
    struct Request: Encodable { let subjects_filter: String }
    let information = try await api(
      "STREAM.INFO.\(stream)", Request(subjects_filter: pattern), as: StreamInformation.self)
    return information.state.subjects.map { Array($0.keys).sorted() } ?? []
  }

  /// Makes a consumer, unless it is there.
  public func ensure(_ consumer: ConsumerConfiguration, of stream: String) async throws {
    struct Request: Encodable {
      let stream_name: String
      let config: ConsumerConfiguration
    }
    do {
      try await api(
        "CONSUMER.DURABLE.CREATE.\(stream).\(consumer.durable_name)",
        Request(stream_name: stream, config: consumer), as: Ignored.self)
    } catch let error as NATSError {
      // One of that name with other settings, which then count.
      guard error.code == .refused(10148) || error.code == .refused(10013) else { throw error }
    }
  }

  /// How far a consumer is.
  public func consumer(
    _ name: String, of stream: String
  ) async throws -> ConsumerInformation {
    try await api("CONSUMER.INFO.\(stream).\(name)", as: ConsumerInformation.self)
  }

  /// How far all consumers of a stream are.
  public func consumers(of stream: String) async throws -> [ConsumerInformation] {
    struct Request: Encodable { let offset: Int }
    struct Page: Decodable {
      let total: Int
      let consumers: [ConsumerInformation]?
    }
    var all: [ConsumerInformation] = []
    while true {
      let page = try await api(
        "CONSUMER.LIST.\(stream)", Request(offset: all.count), as: Page.self)
      let more = page.consumers ?? []
      all += more
      if more.isEmpty || all.count >= page.total { return all }
    }
  }

  /// Stores a message, and waits until it is.
  ///
  /// - Throws: `full` where the stream, or the subject, takes no more.
  @discardableResult
  public func publish(_ message: NATSMessage) async throws -> Stored {
    try Self.decode(try await connection.request(message), of: message.subject)
  }

  /// The last message of a subject; nil where there is none.
  public func last(_ subject: String, of stream: String) async throws -> Message? {
    try Self.stored(
      try await connection.request(NATSMessage("$JS.API.DIRECT.GET.\(stream).\(subject)")))
  }

  /// The first message of a subject at or after a number; nil where there is none.
  public func next(
    _ subject: String, from sequence: UInt64, of stream: String
  ) async throws -> Message? {
    struct Request: Encodable {
      let seq: UInt64
      let next_by_subj: String
    }
    let body = try JSONEncoder().encode(Request(seq: sequence, next_by_subj: subject))
    return try Self.stored(
      try await connection.request(
        NATSMessage("$JS.API.DIRECT.GET.\(stream)", payload: Array(body))))
  }

  /// The message of a number; nil where there is none.
  public func message(_ sequence: UInt64, of stream: String) async throws -> Message? {
    struct Request: Encodable { let seq: UInt64 }
    let body = try JSONEncoder().encode(Request(seq: sequence))
    return try Self.stored(
      try await connection.request(
        NATSMessage("$JS.API.DIRECT.GET.\(stream)", payload: Array(body))))
  }

  private static func stored(_ answer: NATSMessage) throws -> Message? {
    if answer.status == 404 { return nil }
    guard let subject = answer.headers["Nats-Subject"],
      let sequence = answer.headers["Nats-Sequence"].flatMap({ UInt64($0) })
    else {
      throw NATSError(
        .answerInvalid,
        "the server does not give a stored message: \(answer.headers["Description"] ?? "no reason")"
      )
    }
    return Message(subject: subject, sequence: sequence, payload: answer.payload)
  }

  /// Removes the messages of a subject.
  public func purge(_ subject: String, of stream: String) async throws {
    struct Request: Encodable { let filter: String }
    try await api("STREAM.PURGE.\(stream)", Request(filter: subject), as: Ignored.self)
  }

  /// Removes a message; nothing where it is gone.
  public func remove(_ sequence: UInt64, of stream: String) async throws {
    struct Request: Encodable {
      let seq: UInt64
      let no_erase = true
    }
    do {
      try await api("STREAM.MSG.DELETE.\(stream)", Request(seq: sequence), as: Ignored.self)
    } catch let error as NATSError {
      // No such message, or none of that number any more.
      guard
        error.code == .refused(10037) || error.code == .refused(10057)
          || error.code == .refused(10043)
      else { throw error }
    }
  }
}
