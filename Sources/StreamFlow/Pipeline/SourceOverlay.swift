public import FlowCore

/// The source of an image that is repainted in part, at the image's size.
struct SourceOverlay: Sendable {
  let image: PixelImage
  /// The weight of the repainted image.
  let mask: ImageMask

  /// The repainted part composited over the source.
  func callAsFunction(_ repainted: PixelImage) -> PixelImage {
    image.overlaid(with: repainted, where: mask)
  }
}

extension InputImage {
  /// The mask as its image is fitted to a size; nil if there is none.
  ///
  /// Nothing is repainted beside an image that does not fill the size.
  func fittedMask(width: Int, height: Int) -> ImageMask? {
    mask?.stretched(width: image.width, height: image.height)
      .fitted(width: width, height: height, fit: fit)
  }
}

extension ImageMask {
  /// The mask stretched to another size.
  func stretched(width: Int, height: Int) -> ImageMask {
    fitted(width: width, height: height, fit: ImageFit(.stretch))
  }

  /// The mask at another size, fitted like the image of an ``InputImage``.
  ///
  /// Beside an image that does not fill the size, nothing is repainted.
  ///
  /// - Precondition: no side is 0.
  public func fitted(width: Int, height: Int, fit: ImageFit) -> ImageMask {
    guard self.width != width || self.height != height else { return self }
    let fit = ImageFit(fit.kind, background: .black)
    let mask = ImageMask(luma: image.resampled(width: width, height: height, fit: fit))
    // The filter rings: faint values beside an edge are set to 0.
    return ImageMask(
      width: width, height: height, coverage: mask.coverage.map { $0 < 16 ? 0 : $0 })
  }
}
