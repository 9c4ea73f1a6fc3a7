internal import CNATS

/// What the library's thread reports a connection's changes to.
final class ConnectionWatcher: Sendable {
  private let library: NATSLibrary
  private let continuation: AsyncStream<NATSConnection.Event>.Continuation

  init(
    library: NATSLibrary, continuation: AsyncStream<NATSConnection.Event>.Continuation
  ) {
    (self.library, self.continuation) = (library, continuation)
  }

  /// Has a connection report to a watcher, which it owns until it is closed.
  @unsafe
  static func register(
    _ watcher: UnsafeMutableRawPointer, with settings: OpaquePointer, _ library: NATSLibrary
  ) throws(NATSError) {
    let functions = library.functions
    let statuses = unsafe [
      functions.natsOptions_SetErrorHandler(
        settings,
        { connection, _, status, closure in
          unsafe ConnectionWatcher.failed(connection, status, closure)
        }, watcher),
      functions.natsOptions_SetDisconnectedCB(
        settings, { _, closure in unsafe ConnectionWatcher.report(.disconnected, closure) }, watcher
      ),
      functions.natsOptions_SetReconnectedCB(
        settings, { _, closure in unsafe ConnectionWatcher.report(.reconnected, closure) }, watcher),
      functions.natsOptions_SetClosedCB(
        settings, { _, closure in unsafe ConnectionWatcher.closed(closure) }, watcher),
    ]
    for status in statuses { try library.check(status, "watch a connection") }
  }

  @unsafe
  private static func failed(
    _ connection: OpaquePointer?, _ status: natsStatus, _ closure: UnsafeMutableRawPointer?
  ) {
    guard let closure = unsafe closure, let connection = unsafe connection else { return }
    let watcher = unsafe Unmanaged<ConnectionWatcher>.fromOpaque(closure).takeUnretainedValue()
    var words: UnsafePointer<CChar>?
    let found = unsafe watcher.library.functions.natsConnection_GetLastError(connection, &words)
    if found == status, let words = unsafe words {
      unsafe watcher.continuation.yield(.refused(String(cString: words)))
    } else if let error = watcher.library.failure(status, "do as asked") {
      watcher.continuation.yield(.refused(error.message))
    }
  }

  @unsafe
  private static func report(
    _ event: NATSConnection.Event, _ closure: UnsafeMutableRawPointer?
  ) {
    guard let closure = unsafe closure else { return }
    let watcher = unsafe Unmanaged<ConnectionWatcher>.fromOpaque(closure).takeUnretainedValue()
    watcher.continuation.yield(event)
  }

  /// The last thing that is reported of a connection.
  @unsafe
  private static func closed(_ closure: UnsafeMutableRawPointer?) {
    guard let closure = unsafe closure else { return }
    let watcher = unsafe Unmanaged<ConnectionWatcher>.fromOpaque(closure).takeRetainedValue()
    watcher.continuation.yield(.closed)
    watcher.continuation.finish()
  }
}
