internal import FlowCore

/// The source of an image of which a part is repainted, at the image's size.
struct SourceOverlay: Sendable {
  let image: PixelImage
  /// The weight of the repainted image.
  let mask: ImageMask

  /// The source with the repainted part laid over it.
  func callAsFunction(_ repainted: PixelImage) -> PixelImage {
    image.overlaid(with: repainted, where: mask)
  }
}

extension InputImage {
  /// The mask as its image comes to lie in one of a size; nil where there is none.
  ///
  /// Beside an image that does not fill the size, nothing is repainted.
  func fittedMask(width: Int, height: Int) -> ImageMask? {
    mask?.stretched(width: image.width, height: image.height)
      .fitted(width: width, height: height, fit: ImageFit(fit.kind, background: .black))
  }
}

extension ImageMask {
  /// The mask at another size, stretched to it.
  func stretched(width: Int, height: Int) -> ImageMask {
    fitted(width: width, height: height, fit: ImageFit(.stretch))
  }

  fileprivate func fitted(width: Int, height: Int, fit: ImageFit) -> ImageMask {
    guard self.width != width || self.height != height else { return self }
    let mask = ImageMask(luma: image.resampled(width: width, height: height, fit: fit))
    // The filter rings: what is faint beside an edge stays.
    return ImageMask(
      width: width, height: height, coverage: mask.coverage.map { $0 < 16 ? 0 : $0 })
  }
}
