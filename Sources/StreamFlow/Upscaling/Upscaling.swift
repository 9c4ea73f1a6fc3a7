public import FlowCore
public import FlowModels

/// An upscaler and its factor.
public struct Upscaling: Sendable {
  /// The upscaler.
  public let upscaler: Upscaler
  /// The ratio of the final sides to the image's: 2 or 4.
  public let factor: Int
  /// The helpers for large images, if any.
  package var helpers: (any TileHelpers)?

  /// Creates an upscaling.
  ///
  /// - Throws: `requestInvalid` for a factor that the upscaler does not support.
  public init(_ upscaler: Upscaler, by factor: Int) throws(ModelError) {
    try upscaler.check(factor: factor)
    (self.upscaler, self.factor) = (upscaler, factor)
  }

  /// The enlarged image.
  ///
  /// - Throws: as ``Upscaler/upscale(_:by:)``.
  public func callAsFunction(_ image: PixelImage) async throws -> PixelImage {
    guard let helpers else { return try await upscaler.upscale(image, by: factor) }
    return try await upscaler.upscale(image, by: factor, with: helpers)
  }

  /// The settings that are stored in an image, in AUTOMATIC1111's names.
  public var settings: [GenerationSettings.Field] {
    [
      .init(name: "Postprocess upscale by", value: "\(factor)"),
      .init(name: "Postprocess upscaler", value: upscaler.name),
    ]
  }
}

extension GenerationSettings {
  /// A `parameters` text with more settings at its end.
  ///
  /// - Parameters:
  ///   - fields: the settings.
  ///   - parameters: the text; nil for an image without one.
  public static func adding(_ fields: [Field], to parameters: String?) -> String {
    guard !fields.isEmpty else { return parameters ?? "" }
    let added = fields.map { "\($0.name): \(quoted($0.value))" }.joined(separator: ", ")
    let version = "Version: StreamFlow \(streamFlowVersion)"
    var text = parameters ?? ""
    while text.last?.isWhitespace == true { text.removeLast() }
    guard !text.isEmpty else { return "\(added), \(version)" }
    let hasSettings = !GenerationSettings(parsing: text).fields.isEmpty
    return hasSettings ? "\(text), \(added)" : "\(text)\n\(added), \(version)"
  }
}
