internal import Foundation

/// The images of an order on its way to another process: the one that it starts from, those of
/// adapters, and references.
///
/// An input image alone is its file; with others it is a JSON object of files.
struct PortableImages: Codable {
  /// The file of the input image, if any.
  var input: Data?
  /// The file of each adapter's image, if it has one.
  var controls: [Data?] = []
  /// The files of the references; nil for none.
  var references: [Data]?

  init(input: Data?, controls: [Data?], references: [Data]? = nil) {
    self.input = input
    self.controls = controls
    self.references = references
  }

  /// Reads what ``file()`` wrote.
  ///
  /// - Throws: if it is neither the file of an image nor such an object.
  init(file: [UInt8]) throws {
    // No PNG or JPEG file begins with a brace.
    guard file.first == UInt8(ascii: "{") else {
      self.init(input: Data(file), controls: [])
      return
    }
    self = try JSONDecoder().decode(PortableImages.self, from: Data(file))
  }

  /// All of them as one file; nil if there are none.
  func file() throws -> [UInt8]? {
    guard references != nil || controls.contains(where: { $0 != nil }) else {
      return input.map { Array($0) }
    }
    return Array(try JSONEncoder().encode(self))
  }
}
