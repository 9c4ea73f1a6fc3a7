/// The boundary that separates the parts of a form.
struct MultipartBoundary {
  let text: String

  /// Parses the boundary in a request's `Content-Type`.
  init(contentType: String) throws(MultipartError) {
    let header = try HeaderParameters(contentType, of: "Content-Type")
    guard header.value == "multipart/form-data" else {
      throw MultipartError(
        "the body must be multipart/form-data, got \(MultipartError.quote(header.value))")
    }
    guard let text = header["boundary"] else {
      throw MultipartError("Content-Type: multipart/form-data has no 'boundary' parameter")
    }
    guard (1...70).contains(text.utf8.count), text.last != " ",
      text.utf8.allSatisfy(Self.isPermitted)
    else {
      throw MultipartError(
        "the boundary must be 1 to 70 characters of A-Z a-z 0-9 '()+_,-./:=? and inner spaces, got "
          + "\(text.utf8.count): \(MultipartError.quote(text))")
    }
    self.text = text
  }

  /// Whether a boundary may contain a character (RFC 2046, 5.1.1).
  private static func isPermitted(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    default: "'()+_,-./:=? ".utf8.contains(byte)
    }
  }
}
