/// A parsed form, `multipart/form-data` (RFC 7578).
///
/// The contents are slices of the body, not copies. Lines end in CR LF; a body with LF alone is
/// rejected. Parsing takes linear time for any content.
struct MultipartForm: Sendable {
  /// One field or file.
  struct Part: Sendable {
    let name: String
    /// The client's name of the file, for display only, never used as a path; nil for a field that
    /// is not a file.
    let fileName: String?
    let contentType: String?
    let content: ArraySlice<UInt8>
  }

  /// The fields and files in order.
  let parts: [Part]

  /// Parses a body.
  ///
  /// - Parameters:
  ///   - body: the whole body.
  ///   - contentType: the request's `Content-Type`, which contains the boundary.
  ///   - maximumPartCount: the maximum number of parts.
  ///   - maximumHeaderSize: the maximum size of a part's header in bytes.
  init(
    _ body: [UInt8], contentType: String, maximumPartCount: Int = 64, maximumHeaderSize: Int = 8192
  ) throws(MultipartError) {
    let boundary = try MultipartBoundary(contentType: contentType)
    var scanner = try MultipartScanner(body, boundary: boundary)
    var parts: [Part] = []
    while let lines = try scanner.header(of: parts.count + 1, limit: maximumHeaderSize) {
      guard parts.count < maximumPartCount else {
        throw MultipartError("the form has more than \(maximumPartCount) parts, which is the limit")
      }
      let header = try MultipartHeader(lines.map { body[$0] }, part: parts.count + 1)
      guard let content = try scanner.content() else {
        throw MultipartError(
          "the body ends in the middle of part \(MultipartError.quote(header.name)), after "
            + "\(body.count) bytes; expected the line '--\(boundary.text)--' at the end")
      }
      parts.append(
        Part(
          name: header.name, fileName: header.fileName, contentType: header.contentType,
          content: body[content]))
    }
    self.parts = parts
  }

  /// The first part with a name.
  func first(named name: String) -> Part? { parts.first { $0.name == name } }

  /// The text of the first part with a name; nil if there is none.
  func text(named name: String) throws(MultipartError) -> String? {
    guard let part = first(named: name) else { return nil }
    guard let text = String(validating: part.content, as: UTF8.self) else {
      throw MultipartError(
        "part \(MultipartError.quote(name)) is not UTF-8 text (\(part.content.count) bytes)")
    }
    return text
  }
}
