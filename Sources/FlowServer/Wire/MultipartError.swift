/// What is wrong with the body of a form.
struct MultipartError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The failure in words: what, where, what was expected and what came.
  let message: String

  init(_ message: String) { self.message = message }

  var description: String { message }

  /// A text of a client as it may stand in a message.
  static func quote(_ text: some StringProtocol) -> String {
    text.unicodeScalars.count > 80 ? "'\(text.prefix(80))...'" : "'\(text)'"
  }
}
