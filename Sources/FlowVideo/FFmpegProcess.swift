internal import FlowImage
internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// A running ffmpeg, and one end of a pipe to it.
///
/// The process runs in a separate task that is never cancelled: its owner ends it with `exit` on
/// every path, and `exit` returns when the process has ended.
struct FFmpegProcess<Pipe: Sendable>: Sendable {
  /// The pipe for frames.
  let pipe: Pipe
  /// The log of ffmpeg.
  let log: FFmpegLog
  /// The task that writes to ffmpeg's standard input separately from the frames, if any.
  var feeder: Task<Void, Never>?
  private let running: Task<TerminationStatus, any Error>
  private let release: AsyncStream<Never>.Continuation
  private let limits: AsyncStream<Duration>.Continuation

  /// Starts ffmpeg; `connect` gets the end of the pipe.
  static func start<Input: InputProtocol, Output: OutputProtocol>(
    _ ffmpeg: FFmpeg, arguments: [String], input: Input, output: Output, log: FFmpegLog,
    connect: @escaping @Sendable (Execution<Input, Output, SequenceOutput>) -> Pipe
  ) async throws -> FFmpegProcess {
    let (pipes, started) = AsyncThrowingStream<Pipe, any Error>.makeStream()
    let (released, release) = AsyncStream<Never>.makeStream()
    let (limited, limits) = AsyncStream<Duration>.makeStream()
    let running = Task {
      do {
        let result = try await run(
          .path(FilePath(ffmpeg.path)), arguments: Arguments(arguments),
          platformOptions: .ownGroup, input: input, output: output, error: .sequence
        ) { execution in
          let errors = Task { await log.read(execution.standardError) }
          let ending = Task {
            for await limit in limited { await execution.teardown(using: [.doingNothing(limit)]) }
          }
          started.yield(connect(execution))
          started.finish()
          for await _ in released {}
          await errors.value
          limits.finish()
          await ending.value
        }
        return result.terminationStatus
      } catch {
        started.finish(
          throwing: MediaError(
            code: .ffmpegMissing, message: "cannot run '\(ffmpeg.path)': \(error)"))
        throw error
      }
    }
    var iterator = pipes.makeAsyncIterator()
    // If this task is cancelled while it waits, there is no pipe, but the process may exist.
    guard let pipe = try await iterator.next() else {
      limits.yield(.zero)
      release.finish()
      _ = await running.result
      throw CancellationError()
    }
    return FFmpegProcess(pipe: pipe, log: log, running: running, release: release, limits: limits)
  }

  /// Kills the process unless it ends by itself in time.
  func end(within limit: Duration = .zero) { limits.yield(limit) }

  /// Waits for the end of the process, and returns whether it succeeded; closes the pipe.
  func exit() async -> Bool {
    feeder?.cancel()
    await feeder?.value
    release.finish()
    return (try? await running.value.isSuccess) ?? false
  }
}

extension TeardownStep {
  /// Lets the process continue for a while; after the last step it is always killed.
  fileprivate static func doingNothing(_ duration: Duration) -> TeardownStep {
    .send(signal: Signal(rawValue: 0), allowedDurationToNextStep: duration)
  }
}
