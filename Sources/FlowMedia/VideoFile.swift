internal import Foundation

/// The place of a video that is being written: a temporary name until it can be played.
struct VideoFile: Sendable {
  private let path: String
  private let container: VideoContainer
  private let overwriting: Bool
  /// Nil where frames go to standard output, or to files of their own.
  private let temporary: String?

  init(at path: String, container: VideoContainer, overwriting: Bool) throws(MediaError) {
    self.path = path
    self.container = container
    self.overwriting = overwriting
    if path == "-" {
      temporary = nil
    } else if container == .pictures {
      try Self.check(pattern: path, overwriting: overwriting)
      temporary = nil
    } else {
      guard overwriting || !FileManager.default.fileExists(atPath: path) else {
        throw MediaError(code: .fileUnwritable, message: "'\(path)' is there already")
      }
      let (temporary, descriptor) = try AtomicFile.create(for: path)
      close(descriptor)
      self.temporary = temporary
    }
  }

  /// What ffmpeg writes to.
  var outputArgument: String { path == "-" ? "pipe:1" : "file:\(temporary ?? path)" }

  /// Takes back what nobody is to see.
  func remove() { if let temporary { unsafe unlink(temporary) } }

  /// Gives the file its name where it can be played, and throws where it is not what was wanted.
  func finish(
    _ result: VideoWriterResult, outcome: Result<Void, any Error>, isWhole: Bool, log: FFmpegLog,
    ffmpeg: FFmpeg
  ) async throws {
    var failure: (any Error)? = nil
    if case .failure(let error) = outcome { failure = error }
    if !isWhole { failure = await MediaError.unwritable(path, log: log) }
    guard result.frameCount > 0 else {
      remove()
      throw failure
        ?? MediaError(code: .encodingFailed, message: "cannot write '\(path)': there is no frame")
    }
    guard let failure else {
      try place()
      return
    }
    var isKept = isWhole
    if !isWhole { isKept = await isPlayable(ffmpeg) }
    guard isKept else {
      remove()
      throw failure
    }
    if isWhole, let temporary, result.tracks.contains(where: \.isCarried) {
      try? await cutSound(of: temporary, to: result.duration, ffmpeg: ffmpeg)
    }
    try place()
    if failure is CancellationError, isWhole {
      let place = path == "-" ? "standard output" : path
      throw MediaError(
        code: .interrupted,
        message: "stopped: \(FrameCount.words(result.frameCount)) written to \(place)",
        cause: failure)
    }
    // Where ffmpeg failed, it had some of the frames still to itself.
    let frames =
      isWhole ? "the \(FrameCount.words(result.frameCount)) until then" : "what was done until then"
    let what = failure is CancellationError ? "stopped" : "\(failure)"
    let place = path == "-" ? "standard output has" : "'\(path)' holds"
    throw MediaError(
      code: (failure as? MediaError)?.code ?? .interrupted,
      message: "\(what); \(place) \(frames)", cause: failure)
  }

  private func place() throws {
    guard let temporary else { return }
    guard try AtomicFile.place(temporary, at: path, overwriting: overwriting) else {
      throw MediaError(
        code: .fileUnwritable,
        message: "'\(path)' has come meanwhile; the video is in '\(temporary)'")
    }
  }

  /// Whether a file that ffmpeg did not finish has frames all the same.
  private func isPlayable(_ ffmpeg: FFmpeg) async -> Bool {
    guard let temporary else { return true }
    let arguments = ["-loglevel", "level+error", "-f", container.demuxer, "-select_streams", "v"]
    let report = try? await ffmpeg.output(
      of: ffmpeg.probePath,
      arguments: arguments + [
        "-read_intervals", "%+#1", "-show_entries", "frame=width", "-of", "csv=p=0",
        "file:\(temporary)",
      ])
    return container != .raw && report?.isEmpty == false
  }

  /// Lets the sound of a stopped video end with its frames: copies both, up to there.
  private func cutSound(of temporary: String, to duration: Duration, ffmpeg: FFmpeg) async throws {
    let (shorter, descriptor) = try AtomicFile.create(for: path)
    close(descriptor)
    defer { unsafe unlink(shorter) }
    _ = try await ffmpeg.output(
      of: ffmpeg.path,
      arguments: [
        "-hide_banner", "-nostdin", "-loglevel", "level+error", "-y", "-i", "file:\(temporary)",
        "-map", "0", "-map", "-0:d", "-c", "copy", "-t", duration.decimalSeconds,
      ] + container.options + ["-f", container.muxer, "file:\(shorter)"])
    _ = try AtomicFile.place(shorter, at: temporary, overwriting: true)
  }

  /// Images of a pattern are there one by one: none may be there before, and the folder must be.
  private static func check(pattern: String, overwriting: Bool) throws(MediaError) {
    let folder = URL(filePath: pattern).deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder),
      isFolder.boolValue, FileManager.default.isWritableFile(atPath: folder)
    else {
      throw MediaError(
        code: .fileUnwritable,
        message: "cannot write '\(pattern)': '\(folder)' is no folder to write in")
    }
    guard let names = ImagePattern(pattern) else {
      throw MediaError(
        code: .fileUnwritable,
        message: "cannot write '\(pattern)': a pattern has one number, such as out/%04d.png")
    }
    guard !overwriting, let taken = names.files().first else { return }
    throw MediaError(code: .fileUnwritable, message: "'\(taken)' is there already")
  }
}

extension VideoContainer {
  /// ffmpeg's name of the form when it is read.
  fileprivate var demuxer: String {
    switch self {
    case .mp4, .mov: "mov"
    case .matroska, .webm: "matroska"
    case .avi, .gif, .apng, .y4m, .raw, .pictures: muxer
    }
  }
}

extension MediaError {
  /// What ffmpeg failed to write, in its words.
  static func unwritable(_ path: String, log: FFmpegLog) async -> MediaError {
    let reason = await log.failure
    let name = path == "-" ? "standard output" : "'\(path)'"
    if await log.contains("No space left on device") {
      return MediaError(
        code: .diskFull, message: "cannot write \(name): No space left on device")
    }
    let isGone = await log.contains("Broken pipe")
    return MediaError(
      code: isGone ? .fileUnwritable : .encodingFailed,
      message: "cannot write \(name): \(isGone ? "its reader has gone" : reason)")
  }
}

/// A number of frames in words.
enum FrameCount {
  static func words(_ count: Int) -> String { count == 1 ? "1 frame" : "\(count) frames" }
}
