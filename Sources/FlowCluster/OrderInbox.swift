internal import FlowNATS
internal import FlowServer
internal import Synchronization

/// What gateways hear of the orders that they wait for.
final class OrderInbox: Sendable {
  /// What is heard of an order.
  enum News: Sendable {
    case progress(ClusterProgress)
    case result(ClusterResult)
    /// The file of a finished image was fetched; nil if the server is away.
    case file(ClusterResult, Result<[UInt8]?, ServerError>)
    /// Time passed, or the connection came back: results may have been missed.
    case look(all: Bool)
  }

  private let orders = Mutex<[String: AsyncStream<News>.Continuation]>([:])

  /// Begins to listen for an order.
  func open(_ order: String) -> AsyncStream<News> {
    let (stream, continuation) = AsyncStream.makeStream(of: News.self)
    orders.withLock { $0[order] = continuation }
    return stream
  }

  /// Ends it.
  func close(_ order: String) {
    orders.withLock { $0.removeValue(forKey: order) }?.finish()
  }

  /// Forwards a result to its order.
  func receive(result payload: [UInt8]) {
    guard let result = try? ClusterJSON.value(ClusterResult.self, payload) else { return }
    send(.result(result), to: result.id)
  }

  /// Forwards the file of a finished image to its order.
  func receive(_ result: ClusterResult, _ file: Result<[UInt8]?, ServerError>) {
    send(.file(result, file), to: result.id)
  }

  /// Hands on what happens to an image.
  func receive(progress payload: [UInt8]) {
    guard let progress = try? ClusterJSON.value(ClusterProgress.self, payload) else { return }
    send(.progress(progress), to: progress.id)
  }

  private func send(_ news: News, to id: String) {
    let order = String(id.split(separator: "-").first ?? "")
    _ = orders.withLock { $0[order] }?.yield(news)
  }

  /// Has all who wait look for results that they may have missed.
  func look(all: Bool) {
    for waiting in orders.withLock({ Array($0.values) }) { waiting.yield(.look(all: all)) }
  }
}
