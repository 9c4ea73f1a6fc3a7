internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import StreamFlow

/// Options of reference images, of `generate` and `edit`.
struct ReferenceOptions: ParsableArguments {
  @Option(
    name: .customLong("reference"),
    help: ArgumentHelp(
      """
      An image that the network reads beside the one that it makes, for models that edit by \
      instruction (FLUX.1 Kontext, FLUX.2); repeat for several.
      """, valueName: "image"), completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var references: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      The maximum number of pixels at which references are read; fewer are faster (default: the \
      sizes of the model's training).
      """, valueName: "pixels"))
  var referenceArea: Int?

  func validate() throws {
    if let referenceArea, referenceArea < 1 {
      throw ValidationError("--reference-area must be 1 pixel or more, got \(referenceArea)")
    }
  }

  /// Gives a request the reference images.
  func apply(to request: inout GenerationRequest) throws {
    request.references = try references.map { path throws(MediaError) in
      try PixelImage(imageAt: path)
    }
    request.referenceArea = referenceArea
    request.referenceHashes = request.references.map(\.settingsHash)
  }

  /// Takes the settings of an image for options that the user left out.
  ///
  /// - Returns: what they cannot bring back, as messages.
  mutating func complete(from settings: GenerationSettings) -> [String] {
    guard let count = settings.referenceCount else { return [] }
    referenceArea = referenceArea ?? settings.referenceArea
    guard references.count != count else { return changes(from: settings) }
    return [
      "the image was made with \(count) reference \(count == 1 ? "image" : "images"), which it does "
        + "not contain; \(references.isEmpty ? "none is" : "\(references.count) are") read, give "
        + "each with --reference"
    ]
  }

  /// A message if the references are not those of an image, in their order.
  private func changes(from settings: GenerationSettings) -> [String] {
    // A file that cannot be read is an error later.
    let hashes = references.map { path in (try? PixelImage(imageAt: path))?.settingsHash ?? "" }
    guard !settings.referenceHashes.isEmpty, !hashes.contains(""),
      hashes != settings.referenceHashes
    else { return [] }
    return [
      "the image was made with other reference images than those of --reference, or in another order"
    ]
  }
}
