/// The name of a stored image: 128 random bits, which cannot be guessed, and the format.
struct ResultName: Hashable, Sendable, CustomStringConvertible {
  /// The format of an image, by its file extension.
  enum Format: String, Sendable {
    case png
    case jpeg = "jpg"
  }

  /// The name in paths: 32 hexadecimal digits, a dot and the extension.
  let description: String
  let format: Format

  /// The media type of the image.
  var mediaType: String { format == .png ? "image/png" : "image/jpeg" }

  /// Creates a new random name.
  init(_ format: Format, using generator: inout some RandomNumberGenerator) {
    let digits = (0..<16).map { _ in
      let byte = UInt8.random(in: .min ... .max, using: &generator)
      return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    description = "\(digits.joined()).\(format.rawValue)"
    self.format = format
  }

  /// Parses a name; nil for other path components.
  init?(_ text: String) {
    let digits = text.utf8.prefix(32)
    guard digits.count == 32,
      digits.allSatisfy({
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }),
      text.utf8.dropFirst(32).first == UInt8(ascii: "."),
      // Compared by bytes: Swift treats a dot and an accent as one character.
      let format = Format(rawValue: String(decoding: text.utf8.dropFirst(33), as: UTF8.self))
    else { return nil }
    description = text
    self.format = format
  }
}
