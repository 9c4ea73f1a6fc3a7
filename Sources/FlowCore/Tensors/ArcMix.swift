#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Spherical linear interpolation (slerp) of two vectors.
///
/// `sin((1 - f) * angle) / sin(angle) * first + sin(f * angle) / sin(angle) * second` (Shoemake,
/// 1985, "Animating rotation with quaternion curves"), with the angle between the two. The norm
/// stays between the two norms, where a straight line would shorten the vector. Parallel and
/// opposite vectors are interpolated linearly.
public struct ArcMix: Sendable {
  /// The coefficient of the first vector.
  public let first: Float
  /// The coefficient of the second vector.
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

  /// One element of the interpolation.
  public func callAsFunction(_ one: Float, _ other: Float) -> Float {
    first * one + second * other
  }
}
