internal import StreamFlow

extension ServerLimits {
  /// Whether pictures of a size are made.
  func allows(_ size: PictureSize) -> Bool {
    allowedSizes.isEmpty || allowedSizes.contains { $0 == (size.width, size.height) }
  }

  /// The size of a model's pictures where a request names none.
  func defaultSize(of checkpoint: Checkpoint) -> PictureSize {
    let native = PictureSize(
      width: checkpoint.nativeSize.width, height: checkpoint.nativeSize.height)
    guard !allows(native), let first = allowedSizes.first else { return native }
    return PictureSize(width: first.width, height: first.height)
  }
}
