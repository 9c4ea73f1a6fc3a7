extension String {
  /// The text with escaped characters that could control a terminal or reorder a line.
  ///
  /// Names, responses of servers and the settings in images are untrusted. Control characters (C0
  /// except line feed and tab, DEL, C1), line and paragraph separators, and the marks that change
  /// the writing direction (Unicode Standard Annex 9) are written as `\u{1b}`.
  package var printable: String {
    guard unicodeScalars.contains(where: \.isUnsafeToPrint) else { return self }
    return unicodeScalars.reduce(into: "") { text, scalar in
      if scalar.isUnsafeToPrint {
        text += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }
}

extension Unicode.Scalar {
  /// Whether the character could control a terminal, or reorder the characters around it.
  package var isUnsafeToPrint: Bool {
    switch value {
    case 0x09, 0x0A: false
    case 0x00...0x1F, 0x7F...0x9F: true
    case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}
