internal import Foundation

extension String {
  /// The scalars of the canonical composition (NFC).
  ///
  /// Foundation does not compose a precomposed Korean syllable with a following final consonant;
  /// they are composed here (Unicode 16, section 3.12).
  var composedScalars: [Unicode.Scalar] {
    var scalars: [Unicode.Scalar] = []
    for scalar in precomposedStringWithCanonicalMapping.unicodeScalars {
      if let last = scalars.last, let syllable = Self.syllable(last, scalar) {
        scalars[scalars.count - 1] = syllable
      } else {
        scalars.append(scalar)
      }
    }
    return scalars
  }

  /// The syllable of an open syllable and a final consonant; nil for other scalars.
  private static func syllable(
    _ open: Unicode.Scalar, _ end: Unicode.Scalar
  ) -> Unicode.Scalar? {
    let (firstSyllable, lastSyllable): (UInt32, UInt32) = (0xac00, 0xd7a3)
    let (beforeFirstEnd, endCount): (UInt32, UInt32) = (0x11a7, 28)
    guard (firstSyllable...lastSyllable).contains(open.value),
      (open.value - firstSyllable).isMultiple(of: endCount),
      (beforeFirstEnd + 1..<beforeFirstEnd + endCount).contains(end.value)
    else { return nil }
    return Unicode.Scalar(open.value + end.value - beforeFirstEnd)
  }
}
