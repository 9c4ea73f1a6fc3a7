internal import CNATS

/// A message: a subject, where an answer goes, headers and bytes.
public struct NATSMessage: Equatable, Sendable {
  /// The subject, in tokens with dots between them.
  public var subject: String
  /// The subject of an answer, where one is expected.
  public var reply: String?
  /// The headers.
  public var headers: [String: String]
  /// The bytes.
  public var payload: [UInt8]

  /// Creates a message.
  public init(
    _ subject: String, reply: String? = nil, headers: [String: String] = [:],
    payload: [UInt8] = []
  ) {
    (self.subject, self.reply) = (subject, reply)
    (self.headers, self.payload) = (headers, payload)
  }

  /// The number of a message that says only how a request went, such as 404.
  var status: Int? { headers["Status"].flatMap { Int($0) } }

  /// The headers that are read of what comes.
  private static let readHeaders = [
    "Status", "Description", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Msg-Id",
    "traceparent",
  ]

  /// Reads a message of the library's.
  @unsafe
  init(_ handle: OpaquePointer, _ functions: nats_functions) {
    subject =
      unsafe functions.natsMsg_GetSubject(handle).map { unsafe String(cString: $0) } ?? ""
    reply = unsafe functions.natsMsg_GetReply(handle).map { unsafe String(cString: $0) }
    let count = Int(unsafe functions.natsMsg_GetDataLength(handle))
    payload =
      unsafe functions.natsMsg_GetData(handle).map { data in
        unsafe Array(UnsafeRawBufferPointer(start: data, count: count))
      } ?? []
    headers = [:]
    for name in Self.readHeaders {
      var value: UnsafePointer<CChar>?
      guard unsafe functions.natsMsgHeader_Get(handle, name, &value) == natsStatus(CNATS_OK),
        let value = unsafe value
      else { continue }
      headers[name] = unsafe String(cString: value)
    }
  }
}

extension NATSLibrary {
  /// Makes a message of the library's, hands it on, and frees it.
  func withMessage(
    _ message: NATSMessage, _ use: (OpaquePointer) -> natsStatus
  ) throws(NATSError) -> natsStatus {
    var handle: OpaquePointer?
    let status = unsafe message.payload.withUnsafeBytes { bytes in
      unsafe functions.natsMsg_Create(
        &handle, message.subject, message.reply,
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
    }
    try check(status, "make a message for '\(message.subject)'")
    guard let handle = unsafe handle else {
      throw NATSError(.callFailed, "the NATS client made no message")
    }
    defer { unsafe functions.natsMsg_Destroy(handle) }
    for (name, value) in message.headers {
      try check(
        unsafe functions.natsMsgHeader_Set(handle, name, value), "set the header '\(name)'")
    }
    return unsafe use(handle)
  }
}
