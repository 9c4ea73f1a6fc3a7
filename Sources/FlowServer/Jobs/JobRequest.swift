internal import FlowCore
internal import FlowMedia
internal import Foundation
internal import StreamFlow

/// What a job makes: its validated parameters with a model and a seed, so that every image is
/// determined when the job is accepted.
///
/// It is stored as JSON with the parameters' names in the API. The format has a version: what an
/// older server stored stays readable (``version``). An input image is stored as a file beside it.
struct JobRequest: Codable, Sendable {
  /// The version of the format that is written.
  static let version = 1

  /// How the input image is used.
  private struct Source: Codable {
    let strength: Double
    let fit: ImageFit.Kind
    /// Red, green and blue.
    let background: [UInt8]

    enum CodingKeys: String, CodingKey { case strength, fit, background }
  }

  private enum CodingKeys: String, CodingKey { case order, source }

  private(set) var order: ImageOrder
  private let source: Source?

  /// Fixes what an order leaves open.
  ///
  /// - Parameters:
  ///   - order: the validated order.
  ///   - model: the name of the model that it means.
  init(_ order: ImageOrder, model: String) {
    self.order = order
    // The substitution is a warning now: afterwards the order names the real model.
    if let warning = ResponseWarning.substitution(of: order.model, by: model) {
      self.order.warnings.append(warning)
    }
    self.order.model = model
    // As short as the seeds that the library chooses.
    self.order.sampling.seed =
      order.sampling.seed ?? UInt64(UInt32.random(in: .min ... .max))
    source = order.source.map { source in
      let color = source.fit.background
      return Source(
        strength: source.strength, fit: source.fit.kind,
        background: [color.red, color.green, color.blue])
    }
  }

  /// Warnings about the parameters.
  var warnings: [ResponseWarning] { order.warnings }

  /// The seed of the first image.
  var seed: UInt64 { order.sampling.seed ?? 0 }

  /// Whether an input image belongs to it.
  var hasInput: Bool { source != nil }

  /// The order with its input image.
  func order(input: PixelImage?) -> ImageOrder {
    var order = order
    if let source, let input {
      let color =
        source.background.count == 3
        ? RGBColor(
          red: source.background[0], green: source.background[1], blue: source.background[2])
        : .black
      order.source = InputImage(
        image: input, strength: source.strength,
        fit: ImageFit(source.fit, background: color))
    }
    return order
  }

  /// Reads a stored request.
  ///
  /// - Throws: where the version is unknown, or the text is not a request.
  init(json: String, version: Int) throws {
    guard version == Self.version else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "unknown version \(version)"))
    }
    self = try JSONDecoder().decode(JobRequest.self, from: Data(json.utf8))
  }

  /// The request as it is stored.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
