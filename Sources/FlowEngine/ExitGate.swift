internal import Dispatch
internal import Foundation
internal import Synchronization

/// Keeps a process that ends from taking a runtime apart while a thread is inside it.
///
/// `exit` runs the destructors of every library with the other threads still running: an engine
/// that is being compiled beside a stream would find its compiler gone, and the process would end
/// with a segmentation fault in place of its status.
package final class ExitGate: Sendable {
  /// The one that the end of this process closes.
  package static let shared = ExitGate()

  private struct State {
    var insideCount = 0
    var isClosed = false
  }

  private let state = Mutex(State())
  private let registrations = Mutex(0)
  private let isIdle = DispatchSemaphore(value: 0)

  /// Does some work inside the library; where the process is ending, never returns.
  package func inside<Result: ~Copyable>(_ work: () -> Result) -> Result {
    let isClosed = state.withLock { state in
      if !state.isClosed { state.insideCount += 1 }
      return state.isClosed
    }
    // The thread ends with the process.
    if isClosed { while true { sleep(.max) } }
    defer { leave() }
    return work()
  }

  /// Has the end of the process close the gate before anything is destroyed that is there by now.
  ///
  /// What is registered last is run first, and a runtime makes some of its objects when it first
  /// needs them: to be called after that, and not with every call, since nothing is ever taken off
  /// the list.
  package func closeAtExit() {
    registrations.withLock { $0 += 1 }
    atexit { ExitGate.shared.close() }
  }

  /// How often the end of the process closes the gate.
  package var registrationCount: Int { registrations.withLock { $0 } }

  /// Lets nobody in from now on, and waits until nobody is inside.
  func close() {
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
