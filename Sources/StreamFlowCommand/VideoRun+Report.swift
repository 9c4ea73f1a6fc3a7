internal import FlowMedia
internal import Foundation
internal import StreamFlow
internal import Synchronization

extension VideoRun {
  /// Reports what was done.
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
          say("sound: \(codec) omitted: standard input can be read only once; name a file instead")
        }
      }
      sayFilesSkipped()
    case .json:
      let report = await VideoReport(
        log, statistics, stream: stream, output: result?.path, seconds: seconds)
      say(try JSON.text(of: report))
    }
  }

  /// Names the files of a folder that are no frames.
  private func sayFilesSkipped() {
    guard case .pictures(let path, _) = source, !path.contains("%"),
      let folder = try? ImageFolder(path), !folder.skipped.isEmpty
    else { return }
    say(folder.skippedWords)
  }

  /// A line on standard output, unless that is the video.
  private func say(_ line: String) {
    if target.path == "-" { Terminal.note(line) } else { Terminal.output(line) }
  }
}

extension ImageFolder {
  /// What is skipped, in one line.
  var skippedWords: String {
    let names = skipped.prefix(5).map { "\($0.name) (\($0.reason))" }.joined(separator: ", ")
    let more = skipped.count > 5 ? " and \(skipped.count - 5) more" : ""
    return "skipped \(skipped.count == 1 ? "1 file" : "\(skipped.count) files"): \(names)\(more)"
  }
}

extension VideoTracks.Outcome {
  /// What is worth reporting of it.
  fileprivate var words: String? {
    let name =
      switch kind {
      case .audio: "sound"
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

/// Counts what ffmpeg reports while it reads a damaged video.
final class FFmpegProblems: Sendable {
  private let found = Mutex<(count: Int, last: String)>((0, ""))

  var logging: FFmpegLogging {
    FFmpegLogging(level: .error) { [self] line in
      guard line.contains("[error]") || line.contains("[fatal]") else { return }
      found.withLock { $0 = ($0.count + 1, line) }
    }
  }

  /// Warns if there was anything.
  func report(on source: VideoSource) {
    let (count, line) = found.withLock { $0 }
    guard count > 0 else { return }
    let words = line.replacing(/\[[^\]]*\] ?/, with: "")
    Terminal.warning(
      "\(source) is damaged: ffmpeg reported \(count == 1 ? "1 error" : "\(count) errors"), the "
        + "last: \(words)")
  }
}
