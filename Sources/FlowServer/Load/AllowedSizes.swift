internal import FlowCore
internal import FlowModels
internal import StreamFlow

extension ServerLimits {
  /// Whether a size is allowed.
  func allows(_ size: PixelSize) -> Bool {
    allowedSizes.isEmpty || allowedSizes.contains { $0 == (size.width, size.height) }
  }

  /// The size of a model's images if a request specifies none.
  func defaultSize(of checkpoint: Checkpoint) -> PixelSize {
    defaultSize(
      native: PixelSize(
        width: checkpoint.nativeSize.width, height: checkpoint.nativeSize.height))
  }

  /// The size of a model's images if a request specifies none, by the model's own.
  func defaultSize(native: PixelSize) -> PixelSize {
    guard !allows(native), let first = allowedSizes.first else { return native }
    return PixelSize(width: first.width, height: first.height)
  }
}
