internal import Dispatch

/// The thread on which the programs of a device run.
///
/// Each engine spreads its work over the whole device; several at once are slower than one after
/// another, and a run blocks its thread. Actors that run programs take a queue as their executor:
/// those that share it run in turn, in the order in which their work came.
///
/// ```swift
/// actor Decoder {
///   let queue: DeviceQueue
///   nonisolated var unownedExecutor: UnownedSerialExecutor { queue.asUnownedSerialExecutor() }
/// }
/// ```
public final class DeviceQueue: SerialExecutor {
  private let queue: DispatchQueue

  /// Creates a queue with a thread of its own.
  ///
  /// - Parameter label: its name in debuggers.
  public init(label: String = "streamflow.device") {
    queue = DispatchQueue(label: label, qos: .userInitiated)
  }

  /// Takes a piece of work in.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}
