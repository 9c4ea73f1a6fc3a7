internal import CNATS
internal import Dispatch
internal import Foundation
internal import Synchronization

/// A connection to a NATS server, which comes back by itself when it is lost.
///
/// The library's functions may be called from any thread. Those that can block, as publishing does
/// where the network is slower than its sender, run on a thread of the connection's own, in the order
/// in which they were asked for.
@safe
public final class NATSConnection: Sendable {
  /// What happens to the connection.
  public enum Event: Sendable, Equatable {
    /// It is lost; the library tries to bring it back.
    case disconnected
    /// It is back.
    case reconnected
    /// It is closed for good.
    case closed
    /// The server refuses something, such as a subject that the user is not allowed.
    case refused(String)
  }

  /// What happens to the connection, from now on.
  public let events: AsyncStream<Event>
  /// The most bytes of a message.
  public let maximumPayload: Int
  /// How long a request takes at most unless its caller says otherwise.
  public let timeout: Duration
  let library: NATSLibrary
  private nonisolated(unsafe) let handle: OpaquePointer
  private let replies: ReplyBox
  /// The prefix of the subjects of answers.
  public let inboxPrefix: String
  private let inbox: String
  private let inboxSubscription: NATSSubscription
  private let queue: DispatchQueue
  private let isClosed = Mutex(false)

  /// Connects to a server.
  ///
  /// - Throws: `libraryMissing`, `libraryUnsupported`, `settingInvalid`, `unreachable` or
  ///   `notAuthorized`, with the remedy.
  public static func connect(_ options: NATSOptions) async throws -> NATSConnection {
    let queue = DispatchQueue(label: "streamflow.nats")
    return try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(with: Result { try NATSConnection(options, queue: queue) })
      }
    }
  }

  private init(_ options: NATSOptions, queue: DispatchQueue) throws(NATSError) {
    let library = try NATSLibrary.shared()
    let functions = library.functions
    (self.library, self.queue, timeout) = (library, queue, options.timeout)
    let (stream, continuation) = AsyncStream.makeStream(
      of: Event.self, bufferingPolicy: .bufferingNewest(64))
    events = stream
    let watcher = unsafe Unmanaged.passRetained(
      ConnectionWatcher(library: library, continuation: continuation))
    do {
      unsafe handle = try Self.open(options, library, watcher: watcher.toOpaque())
    } catch {
      // Nothing can be reported of a connection that never was.
      unsafe watcher.release()
      throw error
    }
    maximumPayload = Int(unsafe functions.natsConnection_GetMaxPayload(handle))
    inboxPrefix = options.inboxPrefix
    inbox = "\(options.inboxPrefix).\(NATSName.random())"
    let replies = ReplyBox()
    self.replies = replies
    unsafe inboxSubscription = try NATSSubscription(
      "\(inbox).*", of: handle, library: library, bufferCount: 1
    ) { replies.receive($0) }
  }

  private static func open(
    _ options: NATSOptions, _ library: NATSLibrary, watcher: UnsafeMutableRawPointer
  ) throws(NATSError) -> OpaquePointer {
    let functions = library.functions
    var made: OpaquePointer?
    try library.check(unsafe functions.natsOptions_Create(&made), "prepare a connection")
    guard let settings = unsafe made else {
      throw NATSError(.callFailed, "the NATS client made no options")
    }
    defer { unsafe functions.natsOptions_Destroy(settings) }
    try unsafe apply(options, to: settings, library, watcher: watcher)
    var handle: OpaquePointer?
    let status = unsafe functions.natsConnection_Connect(&handle, settings)
    if let error = library.failure(status, "connect to \(options.place)") {
      throw NATSError(error.code, "\(error.message)\(remedy(for: error, options))")
    }
    guard let handle = unsafe handle else {
      throw NATSError(.callFailed, "the NATS client made no connection")
    }
    return unsafe handle
  }

  private static func remedy(for error: NATSError, _ options: NATSOptions) -> String {
    switch error.code {
    case .notAuthorized:
      options.seedFile == nil
        ? "; the server wants a key: name the file of an nkey seed"
        : "; the server does not know the key of '\(options.seedFile ?? "")', or no user of it"
    case .unreachable:
      "; is a server there (`nats-server --jetstream`), and does it speak TLS as the address says?"
    default: ""
    }
  }

  @unsafe
  private static func apply(
    _ options: NATSOptions, to settings: OpaquePointer, _ library: NATSLibrary,
    watcher: UnsafeMutableRawPointer
  ) throws(NATSError) {
    let functions = library.functions
    func set(_ status: natsStatus, _ what: String) throws(NATSError) {
      if let error = library.failure(status, "set \(what)") {
        throw NATSError(.settingInvalid, error.message)
      }
    }
    let milliseconds = Int64(options.timeout / .milliseconds(1))
    try set(unsafe functions.natsOptions_SetURL(settings, options.url), "the address")
    try set(unsafe functions.natsOptions_SetName(settings, options.name), "the name")
    try set(unsafe functions.natsOptions_SetTimeout(settings, milliseconds), "the timeout")
    try set(unsafe functions.natsOptions_SetMaxReconnect(settings, -1), "reconnecting")
    try set(unsafe functions.natsOptions_SetReconnectWait(settings, 250), "reconnecting")
    // Subscriptions share a thread, so that making and ending one is fast: they only hand messages on.
    try set(
      unsafe functions.natsOptions_UseGlobalMessageDelivery(settings, true),
      "the thread of subscriptions")
    // A host that vanished without a word is noticed within half a minute.
    try set(unsafe functions.natsOptions_SetPingInterval(settings, 10_000), "the interval of pings")
    if let file = options.authorityFile {
      // Before the next one, which else takes the system's authorities.
      try set(
        unsafe functions.natsOptions_LoadCATrustedCertificates(settings, file),
        "the certificates of authorities in '\(file)'")
    }
    if options.isSecure { try set(unsafe functions.natsOptions_SetSecure(settings, true), "TLS") }
    if let file = options.seedFile {
      let seed = try NKeySeed(file: file)
      try set(
        unsafe functions.natsOptions_SetNKeyFromSeed(settings, seed.publicKey, file), "the key")
    }
    unsafe try ConnectionWatcher.register(watcher, with: settings, library)
  }

  deinit {
    close()
    unsafe library.functions.natsConnection_Destroy(handle)
  }

  /// Ends the connection: waits until what was published is out, up to a second, and ends the waits of all
  /// who wait for an answer.
  public func close() {
    let isFirst = isClosed.withLock { isClosed in
      defer { isClosed = true }
      return !isClosed
    }
    guard isFirst else { return }
    _ = unsafe library.functions.natsConnection_FlushTimeout(handle, 1000)
    unsafe library.functions.natsConnection_Close(handle)
    replies.close()
  }

  // MARK: - Messages

  /// Sends a message; it is on its way when this returns, or waits for the connection to come back.
  public func publish(_ message: NATSMessage) async throws(NATSError) {
    let result = await withCheckedContinuation { continuation in
      queue.async { continuation.resume(returning: self.send(message)) }
    }
    if let error = result { throw error }
  }

  /// Sends a message whose loss is harmless.
  public func post(_ message: NATSMessage) { queue.async { _ = self.send(message) } }

  private func send(_ message: NATSMessage) -> NATSError? {
    do throws(NATSError) {
      let status = unsafe try library.withMessage(message) { handle in
        unsafe library.functions.natsConnection_PublishMsg(self.handle, handle)
      }
      return library.failure(
        status, "publish \(message.payload.count) bytes to '\(message.subject)'")
    } catch { return error }
  }

  /// Sends a message and waits for the answer.
  ///
  /// - Throws: `noResponders` where nobody listens, `timeout`, `closed`, or `CancellationError`.
  public func request(
    _ message: NATSMessage, timeout: Duration? = nil
  ) async throws -> NATSMessage {
    let number = replies.number()
    var message = message
    message.reply = "\(inbox).\(number)"
    let (asked, limit, subject) = (message, timeout ?? self.timeout, message.subject)
    let answer = try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        replies.wait(number, continuation)
        queue.async {
          if let error = self.send(asked) { self.replies.fail(number, error) }
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + limit.timeInterval) { [replies] in
          replies.fail(
            number,
            NATSError(
              .timeout,
              "no answer to '\(subject)' within \(limit); is the server there, and is this user "
                + "allowed the subject?"))
        }
        if Task.isCancelled { replies.fail(number, CancellationError()) }
      }
    } onCancel: {
      replies.fail(number, CancellationError())
    }
    if answer.status == 503 {
      throw NATSError(.noResponders, "nobody answers at '\(subject)'")
    }
    return answer
  }

  /// A subject for answers that nobody else has.
  public func newInbox() -> String {
    // Not below that of requests, which hears of all that is.
    "\(inboxPrefix).\(NATSName.random())"
  }

  /// Listens to a subject, and hands messages on, on a thread of the library's.
  ///
  /// - Parameters:
  ///   - subject: the subject.
  ///   - group: the name of a group; the server gives each message to one subscription of it.
  ///   - receive: called with each message, on the thread that all subscriptions of the process share; it
  ///     must not wait.
  public func subscribe(
    _ subject: String, group: String? = nil, receive: @escaping @Sendable (NATSMessage) -> Void
  ) throws(NATSError) -> NATSSubscription {
    unsafe try NATSSubscription(
      subject, group: group, of: handle, library: library, bufferCount: 1, receive: receive)
  }

  /// Listens to a subject, whose tokens may be `*` (any) or, the last, `>` (all that follow).
  ///
  /// - Parameters:
  ///   - subject: the subject.
  ///   - bufferCount: how many messages may wait to be taken; beyond it the oldest are dropped.
  public func subscribe(
    _ subject: String, bufferCount: Int = 1024
  ) throws(NATSError) -> NATSSubscription {
    unsafe try NATSSubscription(subject, of: handle, library: library, bufferCount: bufferCount)
  }
}

extension Duration {
  /// The duration in seconds.
  var timeInterval: Double { self / .seconds(1) }
}

/// Names that nobody else has.
public enum NATSName {
  private static let alphabet = Array(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

  /// 22 letters and digits at random: 130 bits.
  public static func random() -> String {
    String((0..<22).compactMap { _ in alphabet.randomElement() })
  }
}
