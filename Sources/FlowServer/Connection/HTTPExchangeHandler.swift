internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import NIOHTTP1

/// Passes one request of a connection at a time to the routes, with exactly one response each.
///
/// - Pipelined requests and parse errors wait until the responses before them are written.
/// - The time from a request's head to its end is limited for all routes.
/// - A connection closes after a response that began before the end of its request's body, after
///   HTTP/1.0 and after invalid HTTP.
/// - A client that expects `100 Continue` gets it when a route reads the body.
///
/// Reading continues while a route works, so that a client's disconnection is noticed.
final class HTTPExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// Triggered outbound when a route reads its request's body.
  struct BodyWanted: Sendable {}

  /// The server's rules for connections.
  struct Rules: Sendable {
    let limits: ServerLimits
    /// The path of a request without a proxy's prefix.
    let path: @Sendable (_ uri: String) -> String
    /// Whether a request from an address is to become a WebSocket.
    let isSocket: @Sendable (HTTPRequestHead, _ remote: String?) -> Bool
    /// Called with requests that were rejected before they reached a route.
    let didRefuse: @Sendable (ServerError) -> Void
  }

  private enum Phase {
    /// Between two requests.
    case idle
    /// A route handles a request.
    case open
    /// The last response was written.
    case ended
    /// The connection becomes a WebSocket: everything passes through.
    case upgrading
    case upgraded
  }

  private enum Event {
    case part(HTTPServerRequestPart)
    case failure(ServerError)
    case inputClosed
  }

  static let name = "exchanges"
  /// Maximum number of buffered parts of later requests; beyond it, reading stops.
  private static let heldPartCount = 64
  /// How long a route may take to respond to a request that failed.
  private static let answerTime = TimeAmount.seconds(5)

  private let rules: Rules
  private var phase = Phase.idle
  private var exchange: HTTPExchange?
  private var events = CircularBuffer<Event>()
  private var deadline: Scheduled<Void>?
  private var isReadHeld = false
  private var isQuiescing = false
  /// Whether the input is no longer valid HTTP.
  private var isBroken = false

  init(rules: Rules) { self.rules = rules }

  // MARK: - Inbound

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch phase {
    case .upgrading, .upgraded: context.fireChannelRead(data)
    case .ended: break
    case .idle, .open:
      if exchange?.isFailed == true { return }
      events.append(.part(unwrapInboundIn(data)))
      deliver(context)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard !isBroken else { return }
    guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
    isBroken = true
    guard phase == .idle || phase == .open, exchange?.isFailed != true else { return }
    events.append(.failure(RequestFraming.refusal(of: error, limits: rules.limits)))
    deliver(context)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed, phase == .idle || phase == .open {
      events.append(.inputClosed)
      return deliver(context)
    }
    if event is ChannelShouldQuiesceEvent { isQuiescing = true }
    context.fireUserInboundEventTriggered(event)
  }

  func read(context: ChannelHandlerContext) {
    // Data after the end of parsing would accumulate in the parser.
    let isStopped =
      phase == .open && exchange?.stopsParser == true && exchange?.isReceiving == false
    isReadHeld = isStopped || events.count > Self.heldPartCount
    if !isReadHeld { context.read() }
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    events.removeAll()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

  /// Forwards buffered parts that are due.
  private func deliver(_ context: ChannelHandlerContext) {
    while let event = events.first, hasTurn(event) {
      events.removeFirst()
      switch event {
      case .part(.head(let head)): begin(head, context)
      case .part(let part): receive(part, context)
      case .failure(let error): fail(error, context)
      case .inputClosed: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
      }
    }
  }

  private func hasTurn(_ event: Event) -> Bool {
    switch event {
    case .part(.head): phase == .idle
    case .part: phase == .open && exchange?.isReceiving == true
    case .failure: phase == .idle || phase == .open && exchange?.isReceiving == true
    case .inputClosed: true
    }
  }

  private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    if let refusal = RequestFraming.refusal(of: head) { return refuse(refusal, context) }
    var head = head
    head.uri = rules.path(head.uri)
    let isUpgrade =
      head.headers.contains(name: "upgrade")
      && rules.isSocket(head, context.remoteAddress?.ipAddress)
    exchange = HTTPExchange(head, isUpgrade: isUpgrade)
    phase = .open
    // Without the `Upgrade` header, the request is answered over HTTP, with the reason.
    if !isUpgrade { head.headers.remove(name: "upgrade") }
    deadline = context.eventLoop.assumeIsolated().scheduleTask(
      in: TimeAmount(rules.limits.readTime)
    ) { self.expire(context) }
    context.fireChannelRead(wrapInboundOut(.head(head)))
  }

  private func receive(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    exchange?.awaitsContinue = false
    if case .end = part {
      deadline?.cancel()
      exchange?.isReceiving = false
      // From here on, the parser's remaining bytes are not HTTP.
      if exchange?.isUpgrade == true { phase = .upgrading }
    }
    context.fireChannelRead(wrapInboundOut(part))
  }

  /// Handles an error: between requests with a response, else as an error of the body.
  private func fail(_ error: ServerError, _ context: ChannelHandlerContext) {
    guard phase == .open else { return refuse(error, context) }
    exchange?.isFailed = true
    events.removeAll()
    context.fireErrorCaught(error)
  }

  /// Handles a request that did not arrive in time.
  private func expire(_ context: ChannelHandlerContext) {
    guard phase == .open, let exchange, exchange.isReceiving else { return }
    guard !exchange.isAnswering, !exchange.isFailed else { return context.close(promise: nil) }
    let seconds = rules.limits.readTime.components.seconds
    fail(
      ServerError(
        .requestTimeout, "read_timeout", "the request did not arrive within \(seconds) s"),
      context)
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.answerTime) {
      if self.exchange?.isAnswering != true { context.close(promise: nil) }
    }
  }

  // MARK: - Outbound

  func triggerUserOutboundEvent(
    context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
  ) {
    guard event is BodyWanted else {
      return context.triggerUserOutboundEvent(event, promise: promise)
    }
    promise?.succeed()
    guard phase == .open, exchange?.awaitsContinue == true else { return }
    exchange?.awaitsContinue = false
    let head = HTTPResponseHead(version: .http1_1, status: .continue)
    context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch phase {
    case .upgraded: return context.write(data, promise: promise)
    case .idle, .ended:
      promise?.fail(ChannelError.outputClosed)
      return
    case .open, .upgrading: break
    }
    switch unwrapOutboundIn(data) {
    case .head(let head) where head.status.code < 200:
      if phase == .upgrading { phase = .upgraded }
      context.write(data, promise: promise)
    case .head(let head):
      if phase == .upgrading {
        // The stream ended while the connection was being upgraded.
        phase = .open
        exchange?.closesAfterward = true
      }
      let answer = exchange?.begin(head, isQuiescing: isQuiescing) ?? head
      context.write(wrapOutboundOut(.head(answer)), promise: promise)
    case .body: context.write(data, promise: promise)
    case .end: finish(context, data, promise)
    }
  }

  /// Writes the end of a response.
  private func finish(
    _ context: ChannelHandlerContext, _ end: NIOAny, _ promise: EventLoopPromise<Void>?
  ) {
    deadline?.cancel()
    guard let exchange, exchange.closesAfterward else {
      phase = .idle
      exchange = nil
      context.write(end, promise: promise)
      guard !events.isEmpty || isReadHeld else { return }
      deliver(context)
      context.fireChannelReadComplete()
      if isReadHeld { read(context: context) }
      return
    }
    let hasUnread = exchange.isReceiving || exchange.stopsParser || isBroken || !events.isEmpty
    conclude(context, end, promise, lingers: hasUnread)
  }

  /// Responds with an error without asking a route.
  private func refuse(_ error: ServerError, _ context: ChannelHandlerContext) {
    rules.didRefuse(error)
    let body = ByteBuffer(bytes: JSONWire.data(of: error.body))
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: error.status.code),
      headers: [
        "Connection": "close", "Content-Type": "application/json",
        "Content-Length": "\(body.readableBytes)",
      ])
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    conclude(context, wrapOutboundOut(.end(nil)), nil, lingers: true)
  }

  /// Writes the end of the last response, then closes the connection.
  private func conclude(
    _ context: ChannelHandlerContext, _ end: NIOAny, _ promise: EventLoopPromise<Void>?,
    lingers: Bool
  ) {
    phase = .ended
    exchange = nil
    events.removeAll()
    deadline?.cancel()
    let written = promise ?? context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenComplete { _ in
      if lingers {
        context.triggerUserOutboundEvent(LingeringCloseHandler.Begin(), promise: nil)
      } else {
        context.close(promise: nil)
      }
    }
    context.writeAndFlush(end, promise: written)
    deadline = context.eventLoop.assumeIsolated().scheduleTask(
      in: TimeAmount(rules.limits.writeTime)
    ) { context.close(promise: nil) }
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard phase == .ended else { return context.close(mode: mode, promise: promise) }
    // The connection closes as soon as the last response is sent.
    if let promise { context.channel.closeFuture.cascade(to: promise) }
  }
}
