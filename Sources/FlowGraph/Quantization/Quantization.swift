/// Which layers of a network compute in 8-bit whole numbers, and how theirs stand for floats.
///
/// Uniform affine quantization as ONNX's `QuantizeLinear` has it (Jacob et al., 2018,
/// arXiv:1712.05877, equation 1): inputs with one scale and zero point a layer, weights with one
/// scale an output and no zero point.
public struct Quantization: Equatable, Sendable {
  /// One layer's numbers.
  public struct Layer: Equatable, Sendable {
    /// What stands for the layer's input.
    public var input: AffineRange
    /// What one unit of each output's 8-bit weights is worth, positive.
    public var weightScales: [Float]

    /// Creates a layer's numbers.
    public init(input: AffineRange, weightScales: [Float]) {
      self.input = input
      self.weightScales = weightScales
    }
  }

  /// The layers by name, as `down_blocks.0.resnets.1.conv1`; all others compute in floats.
  public var layers: [String: Layer]

  /// Creates a quantization.
  public init(layers: [String: Layer]) { self.layers = layers }

  /// The largest 8-bit weight that is used: two products of such weights and 8-bit inputs fit into
  /// 16 bits, so that the sums of CPUs without dot products of 8 bits (VNNI) do not saturate.
  public static let largestWeight: Float = 63

  /// The same for some of the layers only.
  public func keeping(_ isKept: (String) -> Bool) -> Quantization {
    Quantization(layers: layers.filter { isKept($0.key) })
  }

  /// What tells it from any other.
  var identity: String {
    var words: [UInt8] = []
    for (name, layer) in layers.sorted(by: { $0.key < $1.key }) {
      words += Array("\(name) \(layer.input.zeroPoint) ".utf8)
      for scale in [layer.input.scale] + layer.weightScales {
        words += (0..<4).map { UInt8(truncatingIfNeeded: scale.bitPattern >> (8 * $0)) }
      }
    }
    return "int8 \(ContentHash.of(words))"
  }
}

/// A range of floats that the numbers 0 to 255 stand for, `scale * (number - zeroPoint)`.
public struct AffineRange: Equatable, Sendable {
  /// What one unit is worth, positive.
  public let scale: Float
  /// The number that stands for 0, which is exact so.
  public let zeroPoint: UInt8

  /// Creates a range.
  public init(scale: Float, zeroPoint: UInt8) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// The range that reaches from one float to another, and to 0 if they do not.
  public init(_ bounds: ClosedRange<Float>) {
    let (lower, upper) = (min(bounds.lowerBound, 0), max(bounds.upperBound, 0))
    let scale = (upper - lower) / 255
    self.scale = scale > 0 && scale.isNormal ? scale : 1
    zeroPoint = UInt8(min(max((-lower / self.scale).rounded(.toNearestOrEven), 0), 255))
  }

  /// The float that stands for another.
  public func nearest(to value: Float) -> Float {
    let number = (value / scale).rounded(.toNearestOrEven) + Float(zeroPoint)
    return (min(max(number, 0), 255) - Float(zeroPoint)) * scale
  }
}
