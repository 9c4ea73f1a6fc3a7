internal import ArgumentParser
internal import FlowCore
internal import FlowMedia
internal import FlowModels
internal import StreamFlow

/// What is done to the inputs of `streamflow edit` before and after the model sees them.
struct InputEdits: Sendable {
  let mask: MaskOptions
  let region: RegionOptions
  /// Denoising strength.
  let strength: Double
  /// The size of the images that are made.
  let size: PixelSize

  init(mask: MaskOptions, region: RegionOptions, strength: Double?, size: PixelSize) {
    self.mask = mask
    self.region = region
    self.size = size
    self.strength = strength ?? (region.extend != nil ? 1 : mask.mask != nil ? 0.75 : 0.5)
  }

  /// Gives a request's source its mask, and extends it or cuts out what the network is to see.
  func apply(to request: inout GenerationRequest, file: String) throws {
    guard var source = request.source else { return }
    source.mask = try mask.mask(of: file)
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

  /// The image as it is written: pasted into its input, where only a part of that was made.
  func finished(
    _ image: GeneratedImage, file: String, options: SourceOptions
  ) throws -> PixelImage {
    guard let padding = region.maskPadding, let mask = try mask.mask(of: file) else {
      return image.image
    }
    let input = try PixelImage(imageAt: file, background: options.background.color)
    return try MaskedRegion(input, mask: mask, padding: padding, size: size)
      .pasted(image.image, blur: self.mask.maskBlur)
  }
}

extension SamplingOptions {
  /// The size of the images that are made; where inputs are extended, that of the first one then.
  mutating func size(
    of checkpoint: Checkpoint, extending margins: MarginsArgument?, files: [String]
  ) throws -> PixelSize {
    if let margins = margins?.margins, chosenWidth == nil, chosenHeight == nil,
      let first = files.first
    {
      // Decoded as a whole: its header does not tell how it is turned.
      let image = try PixelImage(imageAt: first)
      (width, height) = (
        image.width + margins.left + margins.right, image.height + margins.top + margins.bottom
      )
    }
    let native = checkpoint.nativeSize
    return PixelSize(width: chosenWidth ?? native.width, height: chosenHeight ?? native.height)
  }
}
