internal import FlowImage
internal import Foundation

/// The output file of a video: it has a temporary name until it is playable.
struct VideoFile: Sendable {
  private let path: String
  private let container: VideoContainer
  private let overwriting: Bool
  /// Nil for standard output and for image sequences.
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
        throw MediaError(code: .fileUnwritable, message: "'\(path)' exists already")
      }
      let (temporary, descriptor) = try AtomicFile.create(for: path)
      close(descriptor)
      self.temporary = temporary
    }
  }

  /// The output argument of ffmpeg.
  var outputArgument: String { path == "-" ? "pipe:1" : "file:\(temporary ?? path)" }

  /// Removes an unfinished file.
  func remove() { if let temporary { unsafe unlink(temporary) } }

  /// Renames a playable file to its final name, and throws if the result is incomplete.
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
    // If ffmpeg failed, it had not written all frames yet.
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
        message: "'\(path)' was created in the meantime; the video is in '\(temporary)'")
    }
  }

  /// Whether a file that ffmpeg did not finish contains frames.
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

  /// Trims the audio of a stopped video to its frames by copying both.
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

  /// Images of a sequence are separate files: none may exist before, and the folder must exist.
  private static func check(pattern: String, overwriting: Bool) throws(MediaError) {
    let folder = URL(filePath: pattern).deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder),
      isFolder.boolValue, FileManager.default.isWritableFile(atPath: folder)
    else {
      throw MediaError(
        code: .fileUnwritable,
        message: "cannot write '\(pattern)': '\(folder)' is not a writable folder")
    }
    guard let names = ImagePattern(pattern) else {
      throw MediaError(
        code: .fileUnwritable,
        message: "cannot write '\(pattern)': a pattern has one number, such as out/%04d.png")
    }
    guard !overwriting, let taken = names.files().first else { return }
    throw MediaError(code: .fileUnwritable, message: "'\(taken)' exists already")
  }
}

extension VideoContainer {
  /// ffmpeg's name of the format for reading.
  fileprivate var demuxer: String {
    switch self {
    case .mp4, .mov: "mov"
    case .matroska, .webm: "matroska"
    case .avi, .gif, .apng, .y4m, .raw, .pictures: muxer
    }
  }
}

extension MediaError {
  /// The error for an output that ffmpeg could not write, with ffmpeg's message.
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

/// A number of frames as text.
enum FrameCount {
  static func words(_ count: Int) -> String { count == 1 ? "1 frame" : "\(count) frames" }
}
