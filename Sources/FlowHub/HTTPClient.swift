internal import Foundation
internal import Synchronization

#if canImport(FoundationNetworking)
  internal import FoundationNetworking
#endif

/// The status and headers of a response.
struct ResponseHead: Sendable {
  let status: Int
  let url: URL
  private let headers: [String: String]

  init(status: Int, url: URL, headers: [String: String]) {
    self.status = status
    self.url = url
    self.headers = Dictionary(headers.map { ($0.lowercased(), $1) }) { first, _ in first }
  }

  subscript(name: String) -> String? { headers[name.lowercased()] }

  var isSuccess: Bool { (200...299).contains(status) }
}

/// Receives a successful response in parts; an error that it throws ends the exchange.
protocol ResponseReceiver: Sendable {
  func receive(head: ResponseHead) throws
  func receive(body: Data) throws
}

/// A single HTTP request and response: no redirects, no cookies, no caching.
final class HTTPClient: Sendable {
  private let exchanges = ExchangeTable()
  private let session: URLSession

  /// Creates a client.
  ///
  /// - Parameter idleTimeout: how long an exchange may receive no byte before it fails.
  init(idleTimeout: Duration) {
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = idleTimeout / .seconds(1)
    configuration.urlCache = nil
    configuration.httpCookieStorage = nil
    configuration.urlCredentialStorage = nil
    configuration.httpShouldSetCookies = false
    #if canImport(FoundationNetworking)
      let queue: OperationQueue = BoundedQueue()
    #else
      let queue = OperationQueue()
      queue.maxConcurrentOperationCount = 1
    #endif
    session = URLSession(configuration: configuration, delegate: exchanges, delegateQueue: queue)
  }

  deinit { session.finishTasksAndInvalidate() }

  /// Sends a request.
  ///
  /// The receiver gets the body of a successful response only.
  ///
  /// - Throws: errors of the receiver, `CancellationError`, or ``TransientFailure`` for an
  ///   incomplete response.
  func send(_ request: URLRequest, to receiver: some ResponseReceiver) async throws -> ResponseHead
  {
    try Task.checkCancellation()
    let task = session.dataTask(with: request)
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        exchanges.begin(Exchange(receiver: receiver, continuation: continuation), with: task)
      }
    } onCancel: {
      task.cancel()
    }
  }
}

#if canImport(FoundationNetworking)
  /// A serial queue that blocks its caller while it is full.
  ///
  /// FoundationNetworking delivers data as fast as it arrives, and cannot be paused (a task that is
  /// suspended and resumed starts over), so a slow disk would fill the memory.
  ///
  /// Unchecked because `OperationQueue` itself is, and a subclass must say so again. What this one
  /// adds is safe to use from any thread: two constants, each of a type that is `Sendable`
  /// (`DispatchQueue`, `DispatchSemaphore`); the block that goes from one to the other is
  /// `@Sendable`.
  private final class BoundedQueue: OperationQueue, @unchecked Sendable {
    private let queue = DispatchQueue(label: "streamflow.hub")
    private let places = DispatchSemaphore(value: 64)

    override func addOperation(_ block: @escaping @Sendable () -> Void) {
      places.wait()
      queue.async { [places] in
        block()
        places.signal()
      }
    }
  }
#endif
