internal import Foundation

/// The header of a form's part.
struct MultipartHeader {
  let name: String
  let fileName: String?
  let contentType: String?

  /// Parses the lines of a header.
  ///
  /// - Parameters:
  ///   - lines: the lines without their line ends.
  ///   - number: the part's number from 1, for errors.
  init(_ lines: [ArraySlice<UInt8>], part number: Int) throws(MultipartError) {
    let fields = try Self.fields(lines, part: number)
    guard let line = fields["content-disposition"] else {
      throw MultipartError(
        "part \(number) has no Content-Disposition; expected one such as form-data; name=\"image\"")
    }
    let disposition = try HeaderParameters(line, of: "part \(number): Content-Disposition")
    guard disposition.value == "form-data" else {
      throw MultipartError(
        "part \(number): Content-Disposition must be form-data, got "
          + MultipartError.quote(disposition.value))
    }
    guard let name = disposition["name"].map(Self.decodePercents), !name.isEmpty else {
      throw MultipartError("part \(number) has no name; expected form-data; name=\"image\"")
    }
    if let encoding = fields["content-transfer-encoding"]?.lowercased(),
      !["binary", "8bit", "7bit"].contains(encoding)
    {
      throw MultipartError(
        "part \(MultipartError.quote(name)): Content-Transfer-Encoding must be binary, got "
          + MultipartError.quote(encoding))
    }
    self.name = name
    fileName =
      disposition["filename"].map(Self.decodePercents)
      ?? disposition["filename*"].map(Self.decodeExtended)
    contentType = fields["content-type"]
  }

  private static func fields(
    _ lines: [ArraySlice<UInt8>], part number: Int
  ) throws(MultipartError) -> [String: String] {
    var fields: [String: String] = [:]
    for line in lines {
      guard let text = String(validating: line, as: UTF8.self),
        line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") })
      else {
        throw MultipartError(
          "part \(number): a header line is not UTF-8 text, or contains control characters")
      }
      guard let colon = text.firstIndex(of: ":"), colon != text.startIndex,
        text[..<colon].utf8.allSatisfy(HeaderParameters.isToken)
      else {
        throw MultipartError(
          "part \(number): expected a header line 'Name: value', got \(MultipartError.quote(text))"
        )
      }
      let name = text[..<colon].lowercased()
      let value = text[text.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      guard fields.updateValue(value, forKey: name) == nil else {
        throw MultipartError("part \(number): '\(text[..<colon])' is given twice")
      }
    }
    return fields
  }

  /// Decodes the escapes that browsers write in names: quotes and line ends only, so that `%41` is
  /// unchanged (HTML, "multipart/form-data encoding algorithm").
  private static func decodePercents(_ text: String) -> String {
    var decoded: [UInt8] = []
    var rest = Substring(text).utf8
    while let byte = rest.first {
      let code = byte == UInt8(ascii: "%") ? String(rest.prefix(3))?.uppercased() : nil
      let character: UInt8? =
        switch code {
        case "%22": UInt8(ascii: "\"")
        case "%0D": 13
        case "%0A": 10
        default: nil
        }
      decoded.append(character ?? byte)
      rest = rest.dropFirst(character == nil ? 1 : 3)
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  /// The text of `filename*=UTF-8''na%C3%AFve.png`, which older clients send; unchanged if it has
  /// another form.
  private static func decodeExtended(_ text: String) -> String {
    let pieces = text.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
    guard pieces.count == 3, pieces[0].lowercased() == "utf-8" else { return text }
    return pieces[2].removingPercentEncoding ?? text
  }
}
