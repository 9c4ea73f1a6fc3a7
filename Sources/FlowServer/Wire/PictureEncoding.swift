internal import FlowCore
internal import FlowMedia

/// How pictures are sent.
enum PictureEncoding: Hashable, Sendable {
  case png
  case jpeg(quality: Int)

  /// Reads the parameters `output_format` and `output_compression`.
  init(_ fields: inout RequestFields) throws(ServerError) {
    let format = try fields.choice("output_format", of: ["png", "jpeg"]) ?? "png"
    let compression = try fields.integer("output_compression", in: 0...100)
    self = format == "png" ? .png : .jpeg(quality: max(compression ?? 95, 1))
  }

  /// The format's name.
  var name: String { if case .png = self { "png" } else { "jpeg" } }
  /// The media type.
  var type: String { "image/\(name)" }

  /// The file of a picture.
  ///
  /// - Parameters:
  ///   - image: the picture.
  ///   - parameters: the settings it was generated with, stored in the file.
  func bytes(of image: PixelImage, parameters: String?) throws(MediaError) -> [UInt8] {
    switch self {
    case .png: try image.png(texts: parameters.map { [("parameters", $0)] } ?? [])
    case .jpeg(let quality): try image.jpeg(quality: quality, parameters: parameters)
    }
  }
}
