public import FlowCore
public import FlowModels

/// The part of an image around a mask, which is repainted at a generator's full resolution and pasted
/// back.
///
/// ```swift
/// let region = try MaskedRegion(image, mask: mask, padding: 32, size: model.checkpoint.nativeSize)
/// request.source = region.input(strength: 0.8)
/// let result = region.pasted(try await model.image(request))
/// ```
public struct MaskedRegion: Sendable {
  /// The rectangle of the image that is repainted.
  public let region: PixelRegion
  private let image: PixelImage
  private let mask: ImageMask
  private let padding: Int
  /// The hash of the mask as it was given.
  private let maskHash: String

  /// Finds the rectangle: the mask's bounds with padding, widened to the aspect ratio of the size
  /// as far as the image extends.
  ///
  /// - Parameters:
  ///   - image: the whole image.
  ///   - mask: where it is repainted; stretched to the image's size.
  ///   - padding: the pixels around the mask that the network sees, 0 or more.
  ///   - size: the size that the rectangle is repainted at.
  /// - Throws: `requestInvalid` for an empty mask or a negative padding.
  public init(
    _ image: PixelImage, mask: ImageMask, padding: Int, size: PixelSize
  ) throws(ModelError) {
    maskHash = mask.settingsHash
    let mask = mask.stretched(width: image.width, height: image.height)
    guard padding >= 0 else {
      throw ModelError(
        code: .requestInvalid, message: "the padding of a mask is 0 or more, got \(padding)")
    }
    guard let bounds = mask.bounds else {
      throw ModelError(
        code: .requestInvalid, message: "the mask repaints nothing; white marks what is repainted")
    }
    (self.image, self.mask, self.padding) = (image, mask, padding)
    let columns = Self.widened(bounds.x..<bounds.x + bounds.width, by: padding, to: image.width)
    let rows = Self.widened(bounds.y..<bounds.y + bounds.height, by: padding, to: image.height)
    let ratio = Double(size.width) / Double(size.height)
    let width = max(columns.count, Int((Double(rows.count) * ratio).rounded(.up)))
    let height = max(rows.count, Int((Double(columns.count) / ratio).rounded(.up)))
    let (x, y) = (
      Self.placed(columns, count: width, in: image.width),
      Self.placed(rows, count: height, in: image.height)
    )
    region = PixelRegion(x: x.lowerBound, y: y.lowerBound, width: x.count, height: y.count)
  }

  /// The rectangle as the input of a request; its hashes are those of the whole image and mask.
  ///
  /// - Parameters:
  ///   - strength: denoising strength, above 0 and at most 1.
  ///   - blur: the softness of the mask's edge in pixels.
  public func input(strength: Double, blur: Double = 2) -> InputImage {
    var input = InputImage(
      image: image.cropped(to: region), strength: strength, fit: ImageFit(.stretch),
      mask: mask.cropped(to: region), maskBlur: blur)
    (input.hash, input.maskHash) = (image.settingsHash, maskHash)
    input.maskPadding = padding
    return input
  }

  /// The whole image with a repainted rectangle in its place; pixels outside the mask are the image's
  /// own, byte for byte.
  ///
  /// - Parameters:
  ///   - made: the repainted rectangle, of any size.
  ///   - blur: the softness of the mask's edge in pixels of the image.
  public func pasted(_ made: PixelImage, blur: Double = 2) -> PixelImage {
    let part = made.resampled(width: region.width, height: region.height, fit: ImageFit(.stretch))
    let own = image.cropped(to: region)
    let weights = mask.cropped(to: region).feathered(radius: blur)
    return image.replacing(x: region.x, y: region.y, with: own.overlaid(with: part, where: weights))
  }

  private static func widened(_ range: Range<Int>, by padding: Int, to count: Int) -> Range<Int> {
    max(range.lowerBound - padding, 0)..<min(range.upperBound + padding, count)
  }

  /// A range of a given length around the center of another one, moved to lie within a count.
  private static func placed(_ range: Range<Int>, count: Int, in whole: Int) -> Range<Int> {
    let count = min(count, whole)
    let start = range.lowerBound - (count - range.count) / 2
    let first = min(max(start, 0), whole - count)
    return first..<first + count
  }
}
