internal import Foundation

extension RequestFields {
  /// A file in base64, or as a `data:` URL.
  ///
  /// - Parameter name: the parameter.
  /// - Throws: `invalid_value` for anything else.
  mutating func file(_ name: String) throws(ServerError) -> [UInt8]? {
    guard let text = try text(name, limit: .max) else { return nil }
    func wrong(_ got: String) -> ServerError {
      .invalid(
        "'\(path(name))' must be a PNG or JPEG file in base64, or a data URL of one such as "
          + "'data:image/png;base64,iVBORw0KGgo...'; got \(got)", parameter: path(name))
    }
    guard !text.isEmpty else { throw wrong("an empty text") }
    var content = text[...]
    if text.hasPrefix("data:") {
      guard let comma = text.firstIndex(of: ","), text[..<comma].hasSuffix(";base64") else {
        throw wrong("a data URL that is not in base64")
      }
      content = text[text.index(after: comma)...]
    } else if text.hasPrefix("http://") || text.hasPrefix("https://") {
      throw wrong("the address of a page; the server loads none")
    }
    guard let data = Data(base64Encoded: String(content)), !data.isEmpty else {
      throw wrong("'\(text.prefix(20))', which is not base64")
    }
    return Array(data)
  }
}
