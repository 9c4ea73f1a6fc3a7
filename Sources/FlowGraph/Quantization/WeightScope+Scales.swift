internal import FlowCore

extension WeightScope {
  /// The scale of each output's 8-bit weights: of several shares of the output's largest weight,
  /// the one with the least squared rounding error.
  public func weightScales() throws(GraphError) -> [Float] {
    let weight = try stored("weight")
    guard weight.deltas.isEmpty, weight.shape.rank > 1, weight.shape[0] > 0 else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(self["weight"].path) is \(weight.shape)"
          + (weight.deltas.isEmpty ? "" : " with deltas") + " and cannot be quantized")
    }
    let count = weight.shape.elementCount / weight.shape[0]
    // A transposed weight's rows are not contiguous, and blocks may contain parts of several rows.
    let isApart = !weight.isTransposed && weight.hasSeparateRows
    let turned = isApart ? [] : try weight.floats()
    var scales: [Float] = []
    for output in 0..<weight.shape[0] {
      let row =
        !isApart
        ? Array(turned[output * count..<(output + 1) * count])
        : try weight.rows(output..<output + 1).floats()
      guard row.allSatisfy(\.isFinite) else {
        throw GraphError(
          code: .weightsInvalid,
          message: "\(self["weight"].path) contains NaN or infinity in output \(output)")
      }
      scales.append(Self.scale(of: row))
    }
    return scales
  }

  private static func scale(of row: [Float]) -> Float {
    let greatest = row.reduce(0) { max($0, $1.magnitude) }
    guard greatest.isNormal else { return 1 }
    let scales = (12...20).map { Float($0) / 20 * greatest / Quantization.largestWeight }
    return scales.map { (scale: $0, error: squaredError(of: row, scale: $0)) }
      .min { $0.error < $1.error }?.scale ?? greatest
  }

  private static func squaredError(of row: [Float], scale: Float) -> Float {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even.
    let (inverse, magic): (Float, Float) = (1 / scale, 12_582_912)
    let limit = Quantization.largestWeight
    var sums = SIMD8<Float>()
    var index = 0
    while index < row.count {
      var lanes = SIMD8<Float>()
      for lane in 0..<min(8, row.count - index) { lanes[lane] = row[index + lane] }
      let scaled = lanes * inverse
      let rounded = ((scaled + magic) - magic).clamped(
        lowerBound: SIMD8(repeating: -limit), upperBound: SIMD8(repeating: limit))
      let error = scaled - rounded
      sums += error * error
      index += 8
    }
    return sums.sum() * scale * scale
  }
}

extension WeightStore {
  /// A hash that identifies these weights independently of their location: of all names and shapes,
  /// and of a sample of each tensor's bytes.
  public var fingerprint: String {
    var words: [UInt8] = []
    for (name, weight) in weights.sorted(by: { $0.key < $1.key }) {
      words += Array("\(name) \(weight.typeName) \(weight.storedShape)\n".utf8)
      for scale in weight.scales {
        words += scale.file.bytes(scale.offset..<scale.offset + scale.byteCount)
      }
      let pieces = 4
      for piece in 0...pieces {
        let start = (weight.byteCount - min(weight.byteCount, 64)) * piece / pieces
        let end = min(start + 64, weight.byteCount)
        words += weight.file.bytes(weight.offset + start..<weight.offset + end)
      }
    }
    return "\(ContentHash.of(words))"
  }
}
