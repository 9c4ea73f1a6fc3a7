internal import FlowImage

extension MediaError {
  /// The error for a source that ffmpeg rejects, with ffmpeg's message.
  static func unreadable(_ source: VideoSource, reason: String) -> MediaError {
    let isEmpty = reason.contains("matches no streams") || reason.contains("does not contain any")
    if isEmpty {
      return MediaError(
        code: .videoStreamMissing, message: "cannot read \(source): it has no video stream")
    }
    let old = reason.contains("'fps_mode'") ? "ffmpeg is older than 5.1: " : ""
    return MediaError(
      code: .videoUnreadable,
      message: "cannot read \(source): \(old)\(source.withoutName(reason))")
  }
}
