/// The layers of a network that compute in int8, with their scales and zero points.
///
/// Uniform affine quantization as in ONNX's `QuantizeLinear` (Jacob et al., 2018, arXiv:1712.05877,
/// equation 1): inputs with one scale and zero point per layer, weights with one scale per output
/// and no zero point.
public struct Quantization: Equatable, Sendable {
  /// The parameters of one layer.
  public struct Layer: Equatable, Sendable {
    /// The range of the layer's input.
    public var input: AffineRange
    /// The scale of each output's 8-bit weights, positive.
    public var weightScales: [Float]

    /// Creates a layer's parameters.
    public init(input: AffineRange, weightScales: [Float]) {
      self.input = input
      self.weightScales = weightScales
    }
  }

  /// The layers by name, such as `down_blocks.0.resnets.1.conv1`; all others compute in floats.
  public var layers: [String: Layer]

  /// Creates a quantization.
  public init(layers: [String: Layer]) { self.layers = layers }

  /// The largest 8-bit weight in use.
  ///
  /// The sum of two products of such weights and 8-bit inputs fits 16 bits, so that CPUs without
  /// 8-bit dot products (VNNI) do not saturate.
  public static let largestWeight: Float = 63

  /// The quantization of a subset of the layers.
  public func keeping(_ isKept: (String) -> Bool) -> Quantization {
    Quantization(layers: layers.filter { isKept($0.key) })
  }

  /// The identity of the quantization.
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

/// A range of floats represented by the numbers 0 to 255: `scale * (number - zeroPoint)`.
public struct AffineRange: Equatable, Sendable {
  /// The value of one unit, positive.
  public let scale: Float
  /// The number that represents 0 exactly.
  public let zeroPoint: UInt8

  /// Creates a range.
  public init(scale: Float, zeroPoint: UInt8) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// The smallest range that contains the bounds and 0.
  public init(_ bounds: ClosedRange<Float>) {
    let (lower, upper) = (min(bounds.lowerBound, 0), max(bounds.upperBound, 0))
    let scale = (upper - lower) / 255
    self.scale = scale > 0 && scale.isNormal ? scale : 1
    zeroPoint = UInt8(min(max((-lower / self.scale).rounded(.toNearestOrEven), 0), 255))
  }

  /// The representable float nearest to a value.
  public func nearest(to value: Float) -> Float {
    let number = (value / scale).rounded(.toNearestOrEven) + Float(zeroPoint)
    return (min(max(number, 0), 255) - Float(zeroPoint)) * scale
  }
}
