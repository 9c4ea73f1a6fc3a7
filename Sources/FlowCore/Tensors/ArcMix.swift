#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A place on the arc between two vectors: their spherical mix.
///
/// `sin((1 - f) * angle) / sin(angle) * first + sin(f * angle) / sin(angle) * second` (Shoemake,
/// 1985, "Animating rotation with quaternion curves"), with the angle between the two. Lengths in
/// between stay between the two lengths, where a straight line would cut the corner. Vectors of one
/// direction, and opposite ones, are mixed along the line.
public struct ArcMix: Sendable {
  /// What the first is multiplied by.
  public let first: Float
  /// What the second is multiplied by.
  public let second: Float

  /// Measures the angle between two vectors.
  ///
  /// - Precondition: both have the same number of elements.
  public init(from one: Span<Float>, to other: Span<Float>, fraction: Double) {
    precondition(one.count == other.count, "the two differ in count")
    var (product, length, otherLength) = (0.0, 0.0, 0.0)
    for index in one.indices {
      let (left, right) = (Double(one[index]), Double(other[index]))
      product += left * right
      length += left * left
      otherLength += right * right
    }
    let lengths = (length * otherLength).squareRoot()
    let cosine = lengths > 0 ? min(max(product / lengths, -1), 1) : 1
    let angle = acos(cosine)
    guard sin(angle) > 1e-4 else {
      (first, second) = (Float(1 - fraction), Float(fraction))
      return
    }
    first = Float(sin((1 - fraction) * angle) / sin(angle))
    second = Float(sin(fraction * angle) / sin(angle))
  }

  /// One element of the mix.
  public func callAsFunction(_ one: Float, _ other: Float) -> Float {
    first * one + second * other
  }
}
