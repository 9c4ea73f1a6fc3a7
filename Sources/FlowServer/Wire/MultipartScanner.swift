/// Finds the parts of a form in its body.
///
/// A delimiter is CR LF, `--` and the boundary, alone on its line except for white space, and
/// followed by `--` at the end of the form. Other lines are content: `--abcd` does not end a part
/// if the boundary is `abc`. A delimiter contains only one CR, its first byte. A failed partial
/// match therefore cannot contain the start of another, and no byte is read more than a few times.
struct MultipartScanner<Bytes: RandomAccessCollection<UInt8>> where Bytes.Index == Int {
  private struct Delimiter {
    /// The position of its CR.
    let start: Int
    /// The position after its line.
    let end: Int
    let isLast: Bool
  }

  private static var carriageReturn: UInt8 { 13 }
  private static var lineFeed: UInt8 { 10 }

  private let bytes: Bytes
  private let pattern: [UInt8]
  private var delimiter: Delimiter
  private var contentStart = 0

  /// Finds the first delimiter and skips everything before it.
  init(_ bytes: Bytes, boundary: MultipartBoundary) throws(MultipartError) {
    self.bytes = bytes
    pattern = Array("\r\n--\(boundary.text)".utf8)
    delimiter = Delimiter(start: 0, end: 0, isLast: true)
    // The first delimiter has no CR LF at the start of the body.
    let afterFirst = bytes.startIndex + pattern.count - 2
    var found: Delimiter?
    if agreement(at: bytes.startIndex, from: 2) == pattern.count - 2 {
      found = try endOfDelimiter(start: bytes.startIndex, afterBoundary: afterFirst)
    }
    if found == nil { found = try nextDelimiter(from: bytes.startIndex) }
    guard let found else {
      throw MultipartError(
        "the body of \(bytes.count) bytes has no line '--\(boundary.text)'; the boundary of "
          + "Content-Type must begin it and end in CR LF")
    }
    delimiter = found
  }

  /// The header lines of the next part; nil after the last.
  mutating func header(
    of number: Int, limit: Int
  ) throws(MultipartError) -> [Range<Int>]? {
    guard !delimiter.isLast else { return nil }
    var lines: [Range<Int>] = []
    var start = delimiter.end
    while true {
      var end = start
      while end < bytes.endIndex, bytes[end] != Self.carriageReturn, bytes[end] != Self.lineFeed {
        guard end - delimiter.end < limit else {
          throw MultipartError("the header of part \(number) is longer than \(limit) bytes")
        }
        end += 1
      }
      guard end + 1 < bytes.endIndex || end < bytes.endIndex && bytes[end] == Self.lineFeed else {
        throw MultipartError(
          "the body ends in the middle of the header of part \(number), after \(bytes.count) bytes")
      }
      guard bytes[end] == Self.carriageReturn, bytes[end + 1] == Self.lineFeed else {
        throw Self.lineEnd("a header line of part \(number)")
      }
      guard end > start else {
        contentStart = end + 2
        return lines
      }
      lines.append(start..<end)
      start = end + 2
    }
  }

  /// The content after the most recent header; nil if the body ends in it.
  mutating func content() throws(MultipartError) -> Range<Int>? {
    // The line end before the delimiter of an empty part may be that of the header.
    guard let next = try nextDelimiter(from: contentStart - 2) else { return nil }
    delimiter = next
    return contentStart..<max(contentStart, next.start)
  }

  private func nextDelimiter(from start: Int) throws(MultipartError) -> Delimiter? {
    var position = start
    while position < bytes.endIndex {
      guard bytes[position] == Self.carriageReturn else {
        position += 1
        continue
      }
      let length = agreement(at: position, from: 0)
      if length == pattern.count,
        let found = try endOfDelimiter(start: position, afterBoundary: position + length)
      {
        return found
      }
      position += length
    }
    return nil
  }

  /// The number of bytes that match the delimiter's from an index on.
  private func agreement(at position: Int, from first: Int) -> Int {
    var length = 0
    while first + length < pattern.count, position + length < bytes.endIndex,
      bytes[position + length] == pattern[first + length]
    {
      length += 1
    }
    return length
  }

  /// Parses the rest of a delimiter's line; nil if it is not a delimiter, or is truncated.
  private func endOfDelimiter(
    start: Int, afterBoundary position: Int
  ) throws(MultipartError) -> Delimiter? {
    let dashes = bytes[position...].prefix(2)
    let isLast = dashes.count == 2 && dashes.allSatisfy { $0 == UInt8(ascii: "-") }
    var end = isLast ? position + 2 : position
    while end < bytes.endIndex, HeaderParameters.isBlank(bytes[end]) { end += 1 }
    guard end < bytes.endIndex else {
      return isLast ? Delimiter(start: start, end: end, isLast: true) : nil
    }
    if bytes[end] == Self.lineFeed { throw Self.lineEnd("the boundary's line at byte \(start)") }
    guard bytes[end] == Self.carriageReturn, end + 1 < bytes.endIndex,
      bytes[end + 1] == Self.lineFeed
    else { return nil }
    return Delimiter(start: start, end: end + 2, isLast: isLast)
  }

  private static func lineEnd(_ place: String) -> MultipartError {
    MultipartError("\(place) must end in CR LF, got a CR or LF alone")
  }
}
