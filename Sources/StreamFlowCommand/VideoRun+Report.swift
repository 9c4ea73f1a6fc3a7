internal import FlowImage
internal import FlowVideo
internal import Foundation
internal import StreamFlow
internal import Synchronization

extension VideoRun {
  /// Reports the results.
  func report(
    _ log: VideoLog, result: VideoWriterResult?, source: VideoSource,
    _ information: VideoInformation?
  ) async throws {
    let statistics = await stream.statistics
    let seconds = await log.seconds
    switch style {
    case .quiet: return
    case .plain, .verbose:
      let (made, repeated, failed) = await (log.madeCount, log.repeatedCount, log.failedCount)
      let count = await log.frameCount
      let line = String(
        format: "%d %@ in %.2f s, %.1f FPS (%d made, %d skipped, %d dropped, %d failed)",
        count, count == 1 ? "frame" : "frames", seconds, Double(count) / max(seconds, 1e-9), made,
        repeated, statistics.droppedCount, failed)
      say(result == nil ? line : "\(line): \(target.path)")
      for track in result?.tracks ?? [] { if let words = track.words { say(words) } }
      if case .standardInput(.detected) = source, !target.isMute {
        for codec in information?.audioCodecs ?? [] {
          say("audio: \(codec) omitted: standard input can be read only once; name a file instead")
        }
      }
      sayFilesSkipped()
    case .json:
      let report = await VideoReport(
        log, statistics, stream: stream, precision: precision, output: result?.path,
        seconds: seconds)
      say(try JSON.text(of: report))
    }
  }

  /// Lists the files of a folder that are not frames.
  private func sayFilesSkipped() {
    guard case .pictures(let path, _) = source, !path.contains("%"),
      let folder = try? ImageFolder(path), !folder.skipped.isEmpty
    else { return }
    say(folder.skippedWords)
  }

  /// Prints a line to standard output, unless the video goes there.
  private func say(_ line: String) {
    if target.path == "-" { Terminal.note(line) } else { Terminal.output(line) }
  }
}

extension ImageFolder {
  /// The skipped frames, in one line.
  var skippedWords: String {
    let names = skipped.prefix(5).map { "\($0.name) (\($0.reason))" }.joined(separator: ", ")
    let more = skipped.count > 5 ? " and \(skipped.count - 5) more" : ""
    return "skipped \(skipped.count == 1 ? "1 file" : "\(skipped.count) files"): \(names)\(more)"
  }
}

extension VideoTracks.Outcome {
  /// What is worth reporting about it.
  fileprivate var words: String? {
    let name =
      switch kind {
      case .audio: "audio"
      case .subtitles: "subtitles"
      case .attachment: "attachment"
      }
    return switch fate {
    case .copied: nil
    case .transcoded(let encoder): "\(name): \(codec) encoded again by \(encoder)"
    case .omitted(let reason): "\(name): \(codec) omitted: \(reason)"
    }
  }
}

/// Counts ffmpeg's error reports about a damaged video.
final class FFmpegProblems: Sendable {
  private let found = Mutex<(count: Int, last: String)>((0, ""))

  var logging: FFmpegLogging {
    FFmpegLogging(level: .error) { [self] line in
      guard line.contains("[error]") || line.contains("[fatal]") else { return }
      found.withLock { $0 = ($0.count + 1, line) }
    }
  }

  /// Warns if there were any.
  func report(on source: VideoSource) {
    let (count, line) = found.withLock { $0 }
    guard count > 0 else { return }
    let words = line.replacing(/\[[^\]]*\] ?/, with: "")
    Terminal.warning(
      "\(source) is damaged: ffmpeg reported \(count == 1 ? "1 error" : "\(count) errors"), the "
        + "last: \(words)")
  }
}
