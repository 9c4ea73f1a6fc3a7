public import FlowCore
internal import FlowModels

/// How an image is fitted to another size.
public struct ImageFit: Hashable, Sendable {
  /// What is done if the aspect ratios differ.
  public enum Kind: String, Sendable, CaseIterable {
    /// The whole image, with a background beside it.
    case contain
    /// The largest centered part of the image with the other aspect ratio.
    case cover
    /// The whole image, stretched.
    case stretch
  }

  /// What is done if the aspect ratios differ.
  public var kind: Kind
  /// The background color of `contain`.
  public var background: RGBColor

  /// Creates a fit.
  public init(_ kind: Kind = .cover, background: RGBColor = .black) {
    self.kind = kind
    self.background = background
  }

  /// The extent of an image along one axis.
  struct Extent: Equatable {
    /// The visible part of the source.
    let source: Range<Double>
    /// The target pixels that it fills.
    let target: Range<Int>
  }

  /// The extents along both axes, as in Pillow's `ImageOps.fit` and `ImageOps.pad`.
  func extents(
    width: Int, height: Int, toWidth: Int, toHeight: Int
  ) -> (columns: Extent, rows: Extent) {
    let (sourceWidth, sourceHeight) = (Double(width), Double(height))
    let ratio = Double(toWidth) / Double(toHeight)
    var columns = Extent(source: 0..<sourceWidth, target: 0..<toWidth)
    var rows = Extent(source: 0..<sourceHeight, target: 0..<toHeight)
    let isWider = sourceWidth > ratio * sourceHeight
    switch kind {
    case .stretch: break
    case .cover where isWider:
      columns = .init(
        source: Self.middle(ratio * sourceHeight, of: sourceWidth), target: 0..<toWidth)
    case .cover:
      rows = .init(source: Self.middle(sourceWidth / ratio, of: sourceHeight), target: 0..<toHeight)
    case .contain where isWider:
      let filled = Self.rounded(sourceHeight / sourceWidth * Double(toWidth), atMost: toHeight)
      rows = .init(source: rows.source, target: Self.middle(filled, of: toHeight))
    case .contain:
      let filled = Self.rounded(sourceWidth / sourceHeight * Double(toHeight), atMost: toWidth)
      columns = .init(source: columns.source, target: Self.middle(filled, of: toWidth))
    }
    return (columns, rows)
  }

  private static func rounded(_ extent: Double, atMost most: Int) -> Int {
    min(max(Int(extent.rounded(.toNearestOrEven)), 1), most)
  }

  private static func middle(_ extent: Double, of whole: Double) -> Range<Double> {
    let start = (whole - extent) * 0.5
    return start..<start + extent
  }

  private static func middle(_ extent: Int, of whole: Int) -> Range<Int> {
    let start = Int((Double(whole - extent) * 0.5).rounded(.toNearestOrEven))
    return start..<start + extent
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension ImageFit {
  /// The source pixels along an axis whose weighted sum is a target pixel.
  struct Taps: Equatable {
    /// The first source pixel.
    let first: Int
    /// The weights of it and the following ones; their sum is 1.
    let weights: [Float]
  }
}

extension ImageFit.Extent {
  /// The filter of each target pixel.
  ///
  /// Lanczos' windowed sinc with three lobes, widened for downsampling, as Pillow's `LANCZOS`.
  func taps(of sourceCount: Int) -> [ImageFit.Taps] {
    let scale = (source.upperBound - source.lowerBound) / Double(target.count)
    let widening = max(scale, 1)
    let support = 3 * widening
    return target.map { place in
      let center = source.lowerBound + (Double(place - target.lowerBound) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), sourceCount)
      let weights = (first..<max(end, first)).map { index in
        Self.lanczos((Double(index) - center + 0.5) / widening)
      }
      let sum = weights.reduce(0, +)
      return ImageFit.Taps(first: first, weights: weights.map { Float($0 / sum) })
    }
  }

  private static func lanczos(_ x: Double) -> Double {
    guard abs(x) < 3 else { return 0 }
    func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(.pi * x) / (.pi * x) }
    return sinc(x) * sinc(x / 3)
  }
}
