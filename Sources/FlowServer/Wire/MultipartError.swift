/// An error in the body of a form.
struct MultipartError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The message: what, where, expected, got.
  let message: String

  init(_ message: String) { self.message = message }

  var description: String { message }

  /// A client's text, escaped for a message.
  static func quote(_ text: some StringProtocol) -> String {
    text.unicodeScalars.count > 80 ? "'\(text.prefix(80))...'" : "'\(text)'"
  }
}
