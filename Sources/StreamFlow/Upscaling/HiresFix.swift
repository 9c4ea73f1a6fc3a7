public import FlowCore
public import FlowModels

/// Large images in two passes: generated at the model's size, enlarged, and generated again at the
/// larger size by image-to-image (the web UIs' "hires fix").
///
/// A model that was trained for small images repeats subjects in large ones; the first pass
/// determines the layout, the second adds detail.
///
/// ```swift
/// let hires = try HiresFix(model: model, scale: 2, strength: 0.4, upscaler: .lanczos())
/// for try await image in try await hires.images(for: [model.request("a fox")]) { save(image) }
/// ```
public struct HiresFix: Sendable {
  /// The model of both passes.
  public let model: ImageModel
  /// The ratio of the final sides to the first pass's, above 1 and at most 4.
  public let scale: Double
  /// The denoising strength of the second pass, above 0 and at most 1.
  public let strength: Double
  /// The number of steps of the second pass; nil for that of the first.
  public let stepCount: Int?
  /// The upscaler between the passes.
  public let upscaler: Upscaler

  /// Creates the two passes.
  ///
  /// - Parameters:
  ///   - model: the model of both passes.
  ///   - scale: the ratio of the final sides to the first pass's, above 1 and at most 4.
  ///   - strength: the denoising strength of the second pass, above 0 and at most 1.
  ///   - stepCount: the number of steps of the second pass; nil for that of the first.
  ///   - upscaler: the upscaler between the passes; images that become larger than needed are
  ///     resampled.
  /// - Throws: `requestInvalid` for values out of range.
  public init(
    model: ImageModel, scale: Double, strength: Double, stepCount: Int? = nil, upscaler: Upscaler
  ) throws(ModelError) {
    guard scale > 1, scale <= 4 else {
      throw ModelError(
        code: .requestInvalid,
        message:
          "the second pass makes images more than 1 and at most 4 times as large, got \(scale)")
    }
    guard strength > 0, strength <= 1 else {
      throw ModelError(
        code: .requestInvalid,
        message:
          "the denoising strength of the second pass is above 0 and at most 1, got \(strength)")
    }
    if let stepCount, !(1...1000).contains(stepCount) {
      throw ModelError(
        code: .requestInvalid, message: "the second pass has 1 to 1000 steps, got \(stepCount)")
    }
    (self.model, self.scale, self.strength) = (model, scale, strength)
    (self.stepCount, self.upscaler) = (stepCount, upscaler)
  }

  /// The final size of images of a size: the nearest that the model can make.
  ///
  /// - Throws: `requestInvalid` for a size that the model cannot make.
  public func size(of base: PixelSize) throws(ModelError) -> PixelSize {
    let unit = Double(model.checkpoint.sizeMultiple)
    func enlarged(_ side: Int) -> Int { Int((Double(side) * scale / unit).rounded() * unit) }
    let size = PixelSize(width: enlarged(base.width), height: enlarged(base.height))
    try model.checkpoint.check(width: size.width, height: size.height)
    return size
  }

  /// Images of both passes, as they finish.
  ///
  /// - Throws: `requestInvalid` for an invalid request.
  public func images(for requests: [GenerationRequest]) async throws -> FinishedImages {
    let sizes = Set(requests.map { model.size($0.size) })
    guard sizes.count <= 1 else {
      throw ModelError(
        code: .requestInvalid,
        message: "images of two passes in one call need the same size, got "
          + sizes.map(\.description).sorted().joined(separator: ", "))
    }
    let generator = try await model.generator(of: sizes.first)
    return ImageFinish(hires: self).images(of: try await generator.images(for: requests))
  }

  /// An image at the size of the second pass.
  func enlarged(_ image: PixelImage) async throws -> PixelImage {
    let size = try size(of: PixelSize(width: image.width, height: image.height))
    guard let configuration = upscaler.configuration else {
      return LanczosEnlargement(size: size)(image)
    }
    let ratio = max(
      Double(size.width) / Double(image.width), Double(size.height) / Double(image.height))
    let factors = Upscaler.factors.filter(configuration.makes)
    // An image that is too small is enlarged further, one that is too large is downsampled.
    guard let factor = factors.first(where: { Double($0) >= ratio }) ?? factors.last else {
      try upscaler.check(factor: Upscaler.factors[0])
      return image
    }
    let larger = try await upscaler.upscale(image, by: factor)
    return larger.resampled(width: size.width, height: size.height, fit: ImageFit(.stretch))
  }

  /// The request of the second pass.
  func request(of base: GenerationRequest, from image: PixelImage) -> GenerationRequest {
    var request = base
    request.size = PixelSize(width: image.width, height: image.height)
    request.source = InputImage(image: image, strength: strength, fit: ImageFit(.stretch))
    // As in image-to-image, whatever the first pass uses.
    request.spacing = .uniform
    if let stepCount { request.stepCount = stepCount }
    return request
  }

  /// The settings that are stored in an image, in AUTOMATIC1111's names.
  public var settings: [GenerationSettings.Field] {
    var fields: [GenerationSettings.Field] = [
      .init(name: "Denoising strength", value: "\(strength)"),
      .init(name: "Hires upscale", value: Self.text(scale)),
    ]
    if let stepCount { fields.append(.init(name: "Hires steps", value: "\(stepCount)")) }
    return fields + [.init(name: "Hires upscaler", value: upscaler.name)]
  }

  private static func text(_ number: Double) -> String {
    number == number.rounded() ? "\(Int(number))" : "\(number)"
  }
}
