/// A map from texts to their normalized form, as compiled by SentencePiece: a trie in a double
/// array (Aoe, 1989; laid out as in darts-clone), and the texts to which its values point.
struct PrecompiledMap: Sendable {
  /// Why bytes are not a valid map, as the end of a sentence.
  struct Problem: Error {
    let words: String
  }

  private let units: [Unit]
  /// Zero-terminated texts, concatenated.
  private let texts: [UInt8]

  /// Reads a map: the byte count of the trie as 32 bits, the trie, the texts; little-endian.
  ///
  /// All positions that the trie can reach are validated here, so that look-ups need no checks.
  init(_ bytes: some Collection<UInt8>) throws(Problem) {
    let bytes = Array(bytes)
    func word(at start: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
    }
    guard bytes.count >= 4 else { throw Problem(words: "has \(bytes.count) bytes") }
    let trieByteCount = Int(word(at: 0))
    guard trieByteCount > 0, trieByteCount.isMultiple(of: 4), trieByteCount <= bytes.count - 4
    else {
      throw Problem(
        words: "has a trie of \(trieByteCount) bytes where \(bytes.count - 4) are left")
    }
    units = stride(from: 4, to: 4 + trieByteCount, by: 4).map { Unit(bits: word(at: $0)) }
    texts = Array(bytes[(4 + trieByteCount)...])
    guard texts.last == 0, String(validating: texts, as: UTF8.self) != nil else {
      throw Problem(words: "has texts that are not zero-terminated UTF-8")
    }
    guard !units[0].isValue else { throw Problem(words: "begins with a value") }
    for (index, unit) in units.enumerated() where !unit.isValue {
      let children = index ^ unit.offset
      guard children | 0xff < units.count else {
        throw Problem(words: "leads to unit \(children | 0xff) of \(units.count)")
      }
      guard unit.hasValue else { continue }
      let value = units[children]
      guard value.isValue, value.value < texts.count,
        value.value == 0 || !UTF8.isContinuation(texts[value.value])
      else { throw Problem(words: "has a value at unit \(children) that points to no text") }
    }
  }

  /// The normalized form of a text.
  ///
  /// A character (extended grapheme cluster) of fewer than six bytes is looked up as a whole, and a
  /// match of only its beginning replaces all of it. Other characters are looked up scalar by
  /// scalar. This equals the normalizer of Hugging Face's tokenizers.
  func normalized(_ text: String) -> [Unicode.Scalar] {
    var scalars: [Unicode.Scalar] = []
    for character in text {
      if character.utf8.count < 6, let found = lookUp(character.utf8) {
        scalars += found
        continue
      }
      for scalar in character.unicodeScalars {
        if let found = lookUp(UTF8.encode(scalar).map(Array.init) ?? []) {
          scalars += found
        } else {
          scalars.append(scalar)
        }
      }
    }
    return scalars
  }

  /// The replacement of the shortest prefix of a key that has one.
  private func lookUp(_ key: some Sequence<UInt8>) -> [Unicode.Scalar]? {
    var position = units[0].offset
    for byte in key {
      guard byte != 0 else { return nil }
      position ^= Int(byte)
      let unit = units[position]
      guard unit.label == UInt32(byte) else { return nil }
      position ^= unit.offset
      if unit.hasValue {
        let text = texts[units[position].value...].prefix { $0 != 0 }
        return Array(String(decoding: text, as: UTF8.self).unicodeScalars)
      }
    }
    return nil
  }

  /// 32 bits of the trie: a node, or the value of the preceding node.
  private struct Unit {
    let bits: UInt32

    /// Whether it holds a value.
    var isValue: Bool { bits >> 31 == 1 }
    var value: Int { Int(bits & 0x7fff_ffff) }
    /// Whether a key ends at the node.
    var hasValue: Bool { bits >> 8 & 1 == 1 }
    /// The byte on the edge to this node; larger than a byte for a value.
    var label: UInt32 { bits & 0x8000_00ff }
    /// The offset that is combined with the node's position to find its children.
    var offset: Int { Int(bits >> 10) << Int((bits & 0x200) >> 6) }
  }
}
