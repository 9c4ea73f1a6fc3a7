internal import FlowCore
internal import FlowImage
internal import Foundation
internal import HTTPTypes
internal import StreamFlow

/// What an adapter reads for an order's images: an element of the parameter `controls`.
struct OrderControl: Codable, Sendable {
  /// The maximum number of adapters of a request.
  static let limit = 8

  /// The adapter's name; the model's only one if nil.
  let adapter: String?
  let scale: Float
  /// The range of steps in which it acts, as fractions.
  let start: Double
  let end: Double
  let preprocess: ControlImage.Kind?
  let preset: String?
  let fit: ImageFit.Kind
  /// The file of its image; nil for the input image.
  var file: Data?
  /// The file's content, once it is decoded.
  var image: PixelImage?
  /// The file of the area where it acts; nil for everywhere.
  let maskFile: Data?
  /// The file's content, once it is decoded.
  var mask: ImageMask?
  /// Whether a live stream keeps the image that it has.
  let keepsImage: Bool

  /// The names in stored jobs, which equal those of requests.
  private enum CodingKeys: String, CodingKey {
    case adapter, scale, start, end, preprocess, preset, fit
    case file = "image"
    case maskFile = "mask"
    case keepsImage = "keep_image"
  }

  private init(
    _ fields: inout RequestFields, isLive: Bool
  ) throws(ServerError) {
    adapter = try fields.text("adapter", limit: 200)
    file = try fields.file("image").map { Data($0) }
    maskFile = try fields.file("mask").map { Data($0) }
    scale = try fields.number("scale", in: 0...4).map { Float($0) } ?? 1
    start = try fields.number("start", in: 0...1) ?? 0
    end = try fields.number("end", in: 0...1) ?? 1
    guard start < end else {
      throw .invalid(
        "'\(fields.path("end"))' must be above 'start', which is \(start); got \(end)",
        parameter: fields.path("end"))
    }
    let kinds = ControlImage.Kind.allCases.map(\.rawValue)
    preprocess = try fields.choice("preprocess", of: kinds + ["none"])
      .flatMap(ControlImage.Kind.init)
    preset = try fields.text("preset", limit: 100)
    fit = try fields.choice("fit", as: ImageFit.Kind.self) ?? .cover
    keepsImage = isLive ? try fields.flag("keep_image") ?? false : false
    guard !keepsImage || file == nil else {
      throw .invalid(
        "'\(fields.path("keep_image"))' and an 'image' exclude each other; leave one out",
        parameter: fields.path("keep_image"))
    }
    try fields.checkAllRead()
  }

  /// Parses the parameter `controls`; nil if it is absent.
  ///
  /// - Parameters:
  ///   - fields: the parameters.
  ///   - isLive: whether they are of a live stream.
  static func all(
    _ fields: inout RequestFields, isLive: Bool = false
  ) throws(ServerError) -> [OrderControl]? {
    guard let objects = try fields.objects("controls", limit: limit) else { return nil }
    var controls: [OrderControl] = []
    for var object in objects {
      controls.append(try OrderControl(&object, isLive: isLive))
    }
    return controls
  }

  /// The input of the adapter.
  var input: ControlInput {
    ControlInput(
      adapter, image: image, preprocessing: preprocess.map(ControlImage.init), scale: scale,
      preset: preset, range: start...end, fit: ImageFit(fit), mask: mask)
  }

  /// The same with its image and its mask decoded, from storage.
  ///
  /// - Throws: a `MediaError` for a damaged file.
  func decoded() throws -> OrderControl {
    var control = self
    control.image = try file.map { try PixelImage(picture: Array($0)) }
    control.mask = try maskFile.map { try ImageMask(transparentOrDrawn: Array($0)) }
    return control
  }
}

extension ControlImage.Kind: Codable {}

extension [OrderControl] {
  /// Checks that each has an image, for requests without an input image.
  func checkImages() throws(ServerError) {
    guard let index = firstIndex(where: { $0.file == nil }) else { return }
    throw ServerError(
      .badRequest, "missing_parameter",
      "'controls[\(index)].image' is missing; expected the image that the adapter reads, since "
        + "there is no input image", parameter: "controls[\(index)].image")
  }

  /// The same with the images in the files of a form, which are named `controls[0]`, `controls[1]`...
  func merged(with form: MultipartForm) throws(ServerError) -> [OrderControl] {
    var controls = self
    for part in form.parts where part.fileName != nil && part.name.hasPrefix("controls[") {
      guard let index = Int(part.name.dropFirst(9).dropLast()), part.name.hasSuffix("]"),
        controls.indices.contains(index)
      else {
        throw .invalid(
          "the file '\(part.name.prefix(80))' belongs to no adapter; 'controls' has \(count) "
            + "elements, counted from 0", parameter: "controls")
      }
      guard controls[index].file == nil else {
        throw .invalid(
          "'controls[\(index)].image' is given twice; send it once, as a file or in base64",
          parameter: "controls[\(index)].image")
      }
      controls[index].file = Data(part.content)
    }
    return controls
  }
}
