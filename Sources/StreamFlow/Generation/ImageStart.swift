internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// The start of a request's trajectory.
struct ImageStart {
  /// Its source at the image's size.
  var image: PixelImage?
  /// The latents of its source.
  var reference: Latents?
  /// Where the reference is repainted, if the sampler applies the mask.
  var mask: Latents?
  /// The source image that the result is composited over.
  var overlay: SourceOverlay?
  /// The network inputs that depend on the image.
  var inputs: [Conditioning.Input] = []
  /// The inputs that adapters computed.
  var adapters = AdapterInputs()
  /// The noise generator after the first draws.
  var noise: GaussianNoise
  /// The noise generator after the first sample, if it differs.
  var laterNoise: GaussianNoise?

  /// The start of an image made from text alone.
  init(noise: GaussianNoise) { self.noise = noise }

  /// Encodes a request's source, and the network inputs that depend on it.
  ///
  /// - Parameters:
  ///   - mask: the mask of its source at the image's size.
  ///   - sampleShape: the shape of its latents.
  init(
    _ request: GenerationRequest, mask: FittedMask?, family: any ModelFamily,
    encoder: SourceEncoder, sampleShape: Shape
  ) throws {
    noise = request.noise
    if let source = request.source {
      var drawn = noise
      let encoded = try encoder.encode(source.image, fit: source.fit, noise: &drawn)
      // An inpainting network that starts from pure noise draws no latents of the image.
      if !family.readsMaskedImage || source.strength < 1 { noise = drawn }
      (self.image, reference) = (encoded.image, encoded.latents)
      self.mask = mask?.cells
      overlay = mask.map { SourceOverlay(image: encoded.image, mask: $0.weights) }
    }
    guard family.readsMaskedImage else { return }
    // diffusers draws the first sample before the latents of the masked image.
    var later = noise
    _ = later.latents(shape: sampleShape)
    inputs = [
      .init(
        family.maskedImageInput,
        try encoder.maskedImage(image, mask: mask?.coverage, cells: mask?.cells, noise: &later))
    ]
    laterNoise = later
    // The network itself preserves the rest.
    self.mask = nil
  }
}

/// A mask at the resolutions of one size.
struct FittedMask: Sendable {
  /// The mask at the image's size.
  let coverage: ImageMask
  /// Where latents are repainted.
  let cells: Latents
  /// The weight of the repainted image at each pixel.
  let weights: ImageMask

  /// - Parameters:
  ///   - mask: the mask at the image's size.
  ///   - blur: the softness of its edge in pixels.
  ///   - factor: the pixels of a latent pixel's side.
  init(_ mask: ImageMask, blur: Double, factor: Int) {
    coverage = mask
    cells = mask.cells(side: factor)
    weights = mask.feathered(radius: blur)
  }
}

extension RequestConditioning {
  /// The same conditioning with additional network inputs.
  fileprivate func adding(
    _ inputs: [Conditioning.Input], unconditional: [Conditioning.Input]
  ) -> RequestConditioning {
    RequestConditioning(
      prompted: prompted.adding(inputs), unprompted: unprompted?.adding(unconditional),
      source: source?.adding(inputs), chunkCount: chunkCount)
  }
}

extension Trajectory<Conditioning> {
  /// The trajectory of a request's image.
  init(
    id: Int, plan: StepPlan, _ request: GenerationRequest, _ conditioning: RequestConditioning,
    _ start: ImageStart, shape: Shape, keepsEstimate: Bool = false
  ) {
    // One for each run of rows with the same acting adapters.
    var conditionings: [(stage: Int, RequestConditioning)] = []
    for stage in start.adapters.stages(of: plan.rows.count) {
      let adapted = start.adapters.inputs(atStage: stage, of: plan.rows.count)
      conditionings.append(
        (
          stage,
          conditioning.adding(
            start.inputs + adapted.conditional,
            unconditional: start.inputs + adapted.unconditional)
        ))
    }
    let first = conditionings[0].1
    self.init(
      id: id, plan: plan, guidance: request.guidance, prompted: first.prompted,
      unprompted: first.unprompted, sourcePrompted: first.source, reference: start.reference,
      mask: start.mask, noise: start.noise, laterNoise: start.laterNoise, shape: shape,
      keepsEstimate: keepsEstimate)
    change(
      conditionings.dropFirst().map { stage, conditioning in
        ConditioningChange(
          stage: stage, prompted: conditioning.prompted, unprompted: conditioning.unprompted,
          sourcePrompted: conditioning.source)
      })
  }
}
