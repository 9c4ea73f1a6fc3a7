internal import Foundation
internal import HTTPTypes

/// Images within JSON: `{"image_url": "data:image/png;base64,..."}`, as OpenAI's clients send them.
enum DataURL {
  /// The bytes of an object's image.
  ///
  /// - Parameters:
  ///   - object: the object.
  ///   - name: its name in the request, for errors.
  /// - Throws: an error for an object without an image, or with an address of another host, which
  ///   the server does not fetch.
  static func bytes(
    of object: inout RequestFields, in name: String
  ) throws(ServerError) -> [UInt8] {
    let parameter = "\(name).image_url"
    guard let text = try object.text("image_url", limit: .max) else {
      throw ServerError(
        .badRequest, "missing_parameter",
        "'\(parameter)' is missing; expected a data URL such as data:image/png;base64,...",
        parameter: parameter)
    }
    try object.checkAllRead()
    let prefix = text.prefix(80).lowercased()
    guard prefix.hasPrefix("data:"), let comma = text.firstIndex(of: ","),
      text[..<comma].lowercased().hasSuffix(";base64")
    else {
      throw .invalid(
        "'\(parameter)' must be a data URL in base64 (data:image/png;base64,...), got "
          + "'\(text.prefix(40))'; this server fetches no addresses", parameter: parameter)
    }
    guard let data = Data(base64Encoded: String(text[text.index(after: comma)...])) else {
      throw .invalid("'\(parameter)' is not base64", parameter: parameter)
    }
    return [UInt8](data)
  }
}
