internal import Foundation
internal import Synchronization

#if canImport(FoundationNetworking)
  internal import FoundationNetworking
#endif

/// One request in progress.
struct Exchange: Sendable {
  let receiver: any ResponseReceiver
  let continuation: CheckedContinuation<ResponseHead, any Error>
  var head: ResponseHead?
  /// The reason for which the exchange was ended locally.
  var failure: (any Error)?
  /// Bytes of the response body that no receiver wants.
  var wastedByteCount = 0

  init(
    receiver: any ResponseReceiver, continuation: CheckedContinuation<ResponseHead, any Error>
  ) {
    self.receiver = receiver
    self.continuation = continuation
  }
}

/// Passes data of a session to the receiver of its exchange, in order.
final class ExchangeTable: NSObject, URLSessionDataDelegate, Sendable {
  private let exchanges = Mutex<[Int: Exchange]>([:])
  /// The tasks that were cancelled before their exchange began.
  private let endedTasks = Mutex<Set<Int>>([])

  /// Begins an exchange, unless its task has ended already.
  func begin(_ exchange: Exchange, with task: URLSessionTask) {
    let hasEnded = endedTasks.withLock { ended in
      if ended.remove(task.taskIdentifier) != nil { return true }
      exchanges.withLock { $0[task.taskIdentifier] = exchange }
      return false
    }
    if hasEnded {
      exchange.continuation.resume(throwing: CancellationError())
    } else {
      task.resume()
    }
  }

  /// Ends an exchange.
  ///
  /// Deferred: on Linux, cancelling waits for the thread that may be waiting for this queue.
  private func end(_ task: URLSessionTask, because failure: (any Error)?) {
    exchanges.withLock { $0[task.taskIdentifier]?.failure = failure ?? EndedEarly() }
    DispatchQueue.global().async { task.cancel() }
  }

  private struct EndedEarly: Error {}

  // Only Apple's declarations say that these may be called from any thread.
  #if canImport(Darwin)
    typealias RedirectHandler = @Sendable (URLRequest?) -> Void
    typealias ResponseHandler = @Sendable (URLSession.ResponseDisposition) -> Void
  #else
    typealias RedirectHandler = (URLRequest?) -> Void
    typealias ResponseHandler = (URLSession.ResponseDisposition) -> Void
  #endif

  func urlSession(
    _ session: URLSession, task: URLSessionTask,
    willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
    completionHandler: @escaping RedirectHandler
  ) {
    // The redirect itself is the response; the caller decides whether to follow it.
    completionHandler(nil)
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping ResponseHandler
  ) {
    defer { completionHandler(.allow) }
    guard let response = response as? HTTPURLResponse, let url = response.url else {
      end(dataTask, because: TransientFailure(reason: "the response is not HTTP"))
      return
    }
    var headers: [String: String] = [:]
    for (name, value) in response.allHeaderFields { headers["\(name)"] = "\(value)" }
    let head = ResponseHead(status: response.statusCode, url: url, headers: headers)
    let receiver = exchanges.withLock { exchanges in
      exchanges[dataTask.taskIdentifier]?.head = head
      return exchanges[dataTask.taskIdentifier]?.receiver
    }
    guard head.isSuccess else { return }
    do { try receiver?.receive(head: head) } catch { end(dataTask, because: error) }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    let exchange = exchanges.withLock { $0[dataTask.taskIdentifier] }
    guard let exchange, exchange.failure == nil else { return }
    guard let head = exchange.head, head.isSuccess else {
      let wasted = exchange.wastedByteCount + data.count
      exchanges.withLock { $0[dataTask.taskIdentifier]?.wastedByteCount = wasted }
      // Reading a short error page to its end keeps the connection open; a long one is not worth
      // it.
      if wasted > 65536 { end(dataTask, because: nil) }
      return
    }
    do { try exchange.receiver.receive(body: data) } catch { end(dataTask, because: error) }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let ended = endedTasks.withLock { ended in
      let exchange = exchanges.withLock { $0.removeValue(forKey: task.taskIdentifier) }
      if exchange == nil { ended.insert(task.taskIdentifier) }
      return exchange
    }
    guard let exchange = ended else { return }
    let continuation = exchange.continuation
    switch (exchange.head, exchange.failure, error) {
    case (let head?, is EndedEarly, _): continuation.resume(returning: head)
    case (_, let failure?, _): continuation.resume(throwing: failure)
    case (_, nil, let error?): continuation.resume(throwing: Self.failure(error))
    case (let head?, nil, nil): continuation.resume(returning: head)
    case (nil, nil, nil): continuation.resume(throwing: TransientFailure(reason: "no response"))
    }
  }

  private static func failure(_ error: any Error) -> any Error {
    let error = error as NSError
    switch error.code {
    case NSURLErrorCancelled: return CancellationError()
    case NSURLErrorUnsupportedURL, NSURLErrorBadURL:
      return HubError(.answerInvalid, "an address cannot be used; check HF_ENDPOINT")
    case NSURLErrorTimedOut: return TransientFailure(reason: "timed out waiting for data")
    default:
      let words = error.userInfo[NSLocalizedDescriptionKey] as? String
      return TransientFailure(reason: words ?? error.localizedDescription)
    }
  }
}
