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
    let inverse = 1 / scale
    // Eight sums, which the compiler keeps in a vector; a vector's own operators are calls in a
    // debug build.
    var (sum0, sum1, sum2, sum3) = (Float(0), Float(0), Float(0), Float(0))
    var (sum4, sum5, sum6, sum7) = (Float(0), Float(0), Float(0), Float(0))
    var rest = SIMD8<Float>()
    unsafe row.withUnsafeBufferPointer { row in
      let count = row.count
      var index = 0
      while index + 8 <= count {
        sum0 += squaredError(of: unsafe row[index] * inverse)
        sum1 += squaredError(of: unsafe row[index + 1] * inverse)
        sum2 += squaredError(of: unsafe row[index + 2] * inverse)
        sum3 += squaredError(of: unsafe row[index + 3] * inverse)
        sum4 += squaredError(of: unsafe row[index + 4] * inverse)
        sum5 += squaredError(of: unsafe row[index + 5] * inverse)
        sum6 += squaredError(of: unsafe row[index + 6] * inverse)
        sum7 += squaredError(of: unsafe row[index + 7] * inverse)
        index += 8
      }
      while index < count {
        rest[index & 7] = squaredError(of: unsafe row[index] * inverse)
        index += 1
      }
    }
    let sums = SIMD8(sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7) + rest
    return sums.sum() * scale * scale
  }

  /// The squared error of a scaled value by rounding.
  private static func squaredError(of scaled: Float) -> Float {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even.
    let magic: Float = 12_582_912
    let limit = Quantization.largestWeight
    var rounded = (scaled + magic) - magic
    if rounded < -limit { rounded = -limit }
    if rounded > limit { rounded = limit }
    let error = scaled - rounded
    return error * error
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
