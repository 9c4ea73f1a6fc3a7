public import Testing

/// Expects two arrays to agree, and says where and by how much they differ most.
public func expectClose(
  _ actual: [Float], _ expected: [Float], tolerance: Float,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.count == expected.count, sourceLocation: sourceLocation)
  let differences = zip(actual, expected).map { abs($0 - $1) }
  // NaN is larger than everything here: it must not pass as the least of differences.
  guard
    let worst = differences.indices.max(by: {
      differences[$0] < differences[$1] || differences[$1].isNaN
    })
  else { return }
  #expect(
    differences[worst] <= tolerance,
    "worst at \(worst): \(actual[worst]), expected \(expected[worst])",
    sourceLocation: sourceLocation)
}

/// Expects the 2-norm of the difference to be a small part of the expected array's 2-norm.
public func expectClose(
  _ actual: [Float], _ expected: [Float], relativeTolerance: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.count == expected.count, sourceLocation: sourceLocation)
  let difference = zip(actual, expected).reduce(0.0) { sum, pair in
    let delta = Double(pair.0) - Double(pair.1)
    return sum + delta * delta
  }
  let norm = expected.reduce(0.0) { $0 + Double($1) * Double($1) }
  #expect(norm > 0, "nothing is expected", sourceLocation: sourceLocation)
  let ratio = (difference / norm).squareRoot()
  #expect(
    ratio <= relativeTolerance, "relative difference \(ratio)", sourceLocation: sourceLocation)
}
