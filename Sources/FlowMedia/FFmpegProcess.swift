internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// A running ffmpeg, and the end of a pipe to it.
///
/// A task of its own runs it, which nothing cancels: whoever starts it ends it by `exit`, on every
/// way out, and only then is the process gone and waited for.
struct FFmpegProcess<Pipe: Sendable>: Sendable {
  /// What frames go through.
  let pipe: Pipe
  /// What ffmpeg says.
  let log: FFmpegLog
  /// What writes to ffmpeg's standard input beside the frames' way, if anything.
  var feeder: Task<Void, Never>?
  private let running: Task<TerminationStatus, any Error>
  private let release: AsyncStream<Never>.Continuation
  private let limits: AsyncStream<Duration>.Continuation

  /// Starts ffmpeg; `connect` takes the end of the pipe.
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
    // Nothing comes where this task is cancelled while it waits; the process may be there.
    guard let pipe = try await iterator.next() else {
      limits.yield(.zero)
      release.finish()
      _ = await running.result
      throw CancellationError()
    }
    return FFmpegProcess(pipe: pipe, log: log, running: running, release: release, limits: limits)
  }

  /// Ends the process by force unless it ends by itself in time.
  func end(within limit: Duration = .zero) { limits.yield(limit) }

  /// Waits until the process has ended, and tells whether it succeeded; the pipe is closed.
  func exit() async -> Bool {
    feeder?.cancel()
    await feeder?.value
    release.finish()
    return (try? await running.value.isSuccess) ?? false
  }
}

extension TeardownStep {
  /// Lets the process go on for a while; what follows the last step is always the end by force.
  fileprivate static func doingNothing(_ duration: Duration) -> TeardownStep {
    .send(signal: Signal(rawValue: 0), allowedDurationToNextStep: duration)
  }
}
