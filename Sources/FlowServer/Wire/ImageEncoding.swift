internal import FlowCore
internal import FlowImage

/// The file format of images in responses.
enum ImageEncoding: Hashable, Codable, Sendable {
  case png
  case jpeg(quality: Int)

  /// Parses the parameters `output_format` and `output_compression`.
  init(_ fields: inout RequestFields) throws(ServerError) {
    let format = try fields.text("output_format", limit: 40) ?? "png"
    guard format == "png" || format == "jpeg" else {
      let isKnown = ["webp", "gif", "svg"].contains(format)
      throw .invalid(
        "'output_format' must be png or jpeg"
          + (isKnown ? "; \(format) is not supported" : ", got '\(format)'"),
        parameter: "output_format")
    }
    let compression = try fields.integer("output_compression", in: 0...100)
    if format == "png", let compression, compression < 100 {
      fields.warn(
        ResponseWarning(
          .parameterIgnored,
          "'output_compression' is ignored for PNG, which is lossless; set 'output_format' to jpeg",
          parameter: "output_compression"))
    }
    self = format == "png" ? .png : .jpeg(quality: max(compression ?? 95, 1))
  }

  /// The format's name.
  var name: String { if case .png = self { "png" } else { "jpeg" } }
  /// The media type.
  var type: String { "image/\(name)" }

  /// The image's file.
  ///
  /// - Parameters:
  ///   - image: the image.
  ///   - parameters: the generation settings to store in the file.
  func bytes(of image: PixelImage, parameters: String?) throws(MediaError) -> [UInt8] {
    switch self {
    case .png: try image.png(texts: parameters.map { [("parameters", $0)] } ?? [])
    case .jpeg(let quality): try image.jpeg(quality: quality, parameters: parameters)
    }
  }
}
