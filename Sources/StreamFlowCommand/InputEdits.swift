internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import StreamFlow

/// Processes the inputs of `streamflow edit` before and after the model.
struct InputEdits: Sendable {
  let mask: MaskOptions
  let region: RegionOptions
  /// Denoising strength.
  let strength: Double
  /// The size of the generated images.
  let size: PixelSize
  /// The mask of all inputs, unless each has its own alpha.
  private let shared: ImageMask?

  init(mask: MaskOptions, region: RegionOptions, strength: Double?, size: PixelSize) throws {
    self.mask = mask
    shared = mask.mask == "alpha" ? nil : try mask.mask(of: nil)
    self.region = region
    self.size = size
    self.strength = strength ?? (region.extend != nil ? 1 : mask.mask != nil ? 0.75 : 0.5)
  }

  /// Sets the mask of a request's source, and extends or crops it.
  func apply(to request: inout GenerationRequest, file: String) throws {
    guard var source = request.source else { return }
    source.mask = try shared ?? mask.mask(of: file)
    source.maskBlur = mask.maskBlur
    if let margins = region.extend?.margins {
      let extended = margins.extend(source.image, mask: source.mask)
      guard extended.image.width == size.width, extended.image.height == size.height else {
        throw MediaError(
          code: .imageInvalid,
          message: "'\(file)' is \(extended.image.width)x\(extended.image.height) once it is "
            + "extended, and images of \(size) are made; extend images of one size together")
      }
      (source.image, source.mask) = extended
    }
    if let padding = region.maskPadding, let mask = source.mask {
      source = try MaskedRegion(source.image, mask: mask, padding: padding, size: size)
        .input(strength: source.strength, blur: source.maskBlur)
    }
    request.source = source
  }

  /// The final image: pasted into its input, if only a part was generated.
  func finished(
    _ image: GeneratedImage, file: String, options: SourceOptions
  ) throws -> PixelImage {
    guard let padding = region.maskPadding, let mask = try shared ?? mask.mask(of: file) else {
      return image.image
    }
    let input = try PixelImage(imageAt: file, background: options.background.color)
    return try MaskedRegion(input, mask: mask, padding: padding, size: size)
      .pasted(image.image, blur: self.mask.maskBlur)
  }
}

extension SamplingOptions {
  /// Chooses the size for the aspect ratio of the first input, unless the user chose both sides.
  mutating func takeShape(of files: [String], for checkpoint: Checkpoint) {
    guard chosenWidth == nil || chosenHeight == nil else { return }
    // Decoded completely: its header does not include the rotation. A file that is no image is the
    // failure of its own images.
    guard let image = files.lazy.compactMap({ try? PixelImage(imageAt: $0) }).first,
      image.width > 0, image.height > 0
    else { return }
    (width, height) = checkpoint.size(
      forInputsOf: image.width, by: image.height, width: width, height: height)
  }

  /// The size of the generated images; if inputs are extended, that of the first one after it.
  mutating func size(
    of checkpoint: Checkpoint, extending margins: MarginsArgument?, files: [String]
  ) throws -> PixelSize {
    if let margins = margins?.margins, chosenWidth == nil, chosenHeight == nil,
      let first = files.first
    {
      // Decoded completely: its header does not include the rotation.
      let image = try PixelImage(imageAt: first)
      (width, height) = (
        image.width + margins.left + margins.right, image.height + margins.top + margins.bottom
      )
    }
    let native = checkpoint.nativeSize
    return PixelSize(width: chosenWidth ?? native.width, height: chosenHeight ?? native.height)
  }
}
