internal import FlowCore
internal import FlowImage
internal import Foundation
internal import StreamFlow

/// A job's validated parameters including model and seed, which determine every image when the job
/// is accepted.
///
/// It is stored as JSON with the API's parameter names. The format is versioned: requests stored by
/// an older server stay readable (``version``). An input image is stored in a separate file.
struct JobRequest: Codable, Sendable {
  /// The latest version of the format.
  static let version = 5

  /// The version that is written: the first one whose servers make the same images of it.
  var version: Int {
    let isOlder =
      order.sampling.promptSyntax == nil && order.sampling.noiseSource == nil
      && references?.isEmpty != true
      && order.controls?.contains { $0.maskFile != nil } != true
    // Earlier versions would skip no layers of the text encoders.
    if order.sampling.skippedTextLayers ?? 0 > 0 { return 5 }
    // Earlier versions expect the method of an edit.
    if let editing = order.editing, editing.method == nil { return 4 }
    return isOlder ? 2 : 3
  }

  /// How the input image is used.
  private struct Source: Codable {
    let strength: Double
    let fit: ImageFit.Kind
    /// Red, green and blue.
    let background: [UInt8]
    /// A PNG file, white where the image is repainted.
    let mask: Data?
    let maskBlur: Double?
    /// The hashes of image and mask as they were sent.
    let hash: String?
    let maskHash: String?

    enum CodingKeys: String, CodingKey {
      case strength, fit, background, mask, hash
      case maskBlur = "mask_blur"
      case maskHash = "mask_hash"
    }
  }

  private enum CodingKeys: String, CodingKey { case order, source, references }

  private(set) var order: ImageOrder
  private let source: Source?
  /// PNG files of the images that the network reads; nil for none, empty if they are elsewhere.
  private var references: [Data]?

  /// Resolves the open choices of an order.
  ///
  /// - Parameters:
  ///   - order: the validated order.
  ///   - model: the name of its model.
  /// - Throws: a `MediaError` if the mask or a reference cannot be stored.
  init(_ order: ImageOrder, model: String) throws {
    self.order = order
    // The substitution warning must be recorded now, since the order now names the actual model.
    if let warning = ResponseWarning.substitution(of: order.model, by: model) {
      self.order.warnings.append(warning)
    }
    self.order.model = model
    // As short as the seeds that the library draws.
    self.order.sampling.seed =
      order.sampling.seed ?? UInt64(UInt32.random(in: .min ... .max))
    references =
      order.references.isEmpty ? nil : try order.references.map { Data(try $0.png()) }
    source = try order.source.map { source in
      let color = source.fit.background
      return Source(
        strength: source.strength, fit: source.fit.kind,
        background: [color.red, color.green, color.blue],
        mask: try source.mask.map { Data(try $0.image.png()) },
        maskBlur: source.mask.map { _ in source.maskBlur }, hash: source.hash,
        maskHash: source.maskHash)
    }
  }

  /// Warnings about the parameters.
  var warnings: [ResponseWarning] { order.warnings }

  /// The seed of the first image.
  var seed: UInt64 { order.sampling.seed ?? 0 }

  /// Whether it contains images beside the input.
  var hasImages: Bool { order.controls != nil || references != nil }

  /// Whether it has an input image.
  var hasInput: Bool { source != nil }

  /// The same of one of its images.
  func single(_ index: Int) -> JobRequest {
    var request = self
    request.order = order.single(index)
    return request
  }

  /// Replaces the files of adapters' images, and returns those that it had.
  ///
  /// - Parameter file: the file of an index, given the present one.
  mutating func replaceControlFiles(_ file: (_ index: Int, _ own: Data?) -> Data?) -> [Data?] {
    guard let controls = order.controls else { return [] }
    for index in controls.indices {
      order.controls?[index].file = file(index, controls[index].file)
    }
    return controls.map(\.file)
  }

  /// Takes out the files of the references; nil if it has none.
  mutating func takeReferences() -> [Data]? {
    guard let files = references else { return nil }
    references = []
    return files
  }

  /// Puts back what ``takeReferences()`` took.
  ///
  /// - Throws: an error if they are missing.
  mutating func putReferences(_ files: [Data]?) throws(ServerError) {
    guard references?.isEmpty == true else { return }
    guard let files, !files.isEmpty else {
      throw .invalid("the reference images of the order are missing")
    }
    references = files
  }

  /// The order with its input image.
  ///
  /// - Throws: a `MediaError` if a stored mask, a reference or an adapter's image is damaged.
  func order(input: PixelImage?) throws -> ImageOrder {
    var order = order
    order.references = try (references ?? []).map { try PixelImage(picture: Array($0)) }
    order.controls = try order.controls?.map { try $0.decoded() }
    if let source, let input {
      let color =
        source.background.count == 3
        ? RGBColor(
          red: source.background[0], green: source.background[1], blue: source.background[2])
        : .black
      var image = InputImage(
        image: input, strength: source.strength,
        fit: ImageFit(source.fit, background: color),
        mask: try source.mask.map { try ImageMask(drawn: Array($0)) },
        maskBlur: source.maskBlur ?? 2)
      (image.hash, image.maskHash) = (source.hash, source.maskHash)
      order.source = image
    }
    return order
  }

  /// Parses a stored request.
  ///
  /// - Throws: if the version is unknown or the text is invalid.
  init(json: String, version: Int) throws {
    guard (1...Self.version).contains(version) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "unknown version \(version)"))
    }
    self = try JSONDecoder().decode(JobRequest.self, from: Data(json.utf8))
  }

  /// The request in its stored form.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
