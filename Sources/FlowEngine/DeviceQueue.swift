internal import Dispatch

/// The thread on which the programs of a device run.
///
/// Each engine uses the whole device: concurrent runs are slower than consecutive ones, and a run
/// blocks its thread. Actors that run programs use a queue as their executor. Actors that share a
/// queue run one at a time, in the order in which their jobs arrive.
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
  /// - Parameter label: the thread's name in debuggers.
  public init(label: String = "streamflow.device") {
    queue = DispatchQueue(label: label, qos: .userInitiated)
  }

  /// Adds a job.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}
