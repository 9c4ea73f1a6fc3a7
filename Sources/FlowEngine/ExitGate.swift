internal import Dispatch
internal import Foundation
internal import Synchronization

/// Prevents the end of the process from destroying a runtime while a thread is inside it.
///
/// `exit` runs the destructors of every library while other threads still run. An engine that is
/// being compiled beside a stream would lose its compiler, and the process would end with a
/// segmentation fault instead of its exit status.
package final class ExitGate: Sendable {
  /// The gate that the end of this process closes.
  package static let shared = ExitGate()

  private struct State {
    var insideCount = 0
    var isClosed = false
  }

  private let state = Mutex(State())
  private let registrations = Mutex(0)
  private let isIdle = DispatchSemaphore(value: 0)

  /// Runs work inside the library; never returns if the process is ending.
  package func inside<Result: ~Copyable>(_ work: () -> Result) -> Result {
    let isClosed = state.withLock { state in
      if !state.isClosed { state.insideCount += 1 }
      return state.isClosed
    }
    // This thread ends with the process.
    if isClosed { while true { sleep(.max) } }
    defer { leave() }
    return work()
  }

  /// Registers the gate to close at exit, before all objects that exist by now are destroyed.
  ///
  /// Exit handlers run in reverse order of registration, and a runtime creates some of its objects
  /// on first use. Call this after that, and not with every call, since handlers are never removed.
  package func closeAtExit() {
    registrations.withLock { $0 += 1 }
    atexit { ExitGate.shared.close() }
  }

  /// The number of registered exit handlers.
  package var registrationCount: Int { registrations.withLock { $0 } }

  /// Admits no further work, and waits until all work inside has ended.
  ///
  /// A program calls it last before it ends: during the first compilation of a kind of graph, the runtime
  /// creates objects after the handlers of ``closeAtExit()`` were registered, which `exit` destroys first.
  package func close() {
    let isOccupied = state.withLock { state in
      state.isClosed = true
      return state.insideCount > 0
    }
    if isOccupied { isIdle.wait() }
  }

  private func leave() {
    let isLast = state.withLock { state in
      state.insideCount -= 1
      return state.isClosed && state.insideCount == 0
    }
    if isLast { isIdle.signal() }
  }
}
