internal import FlowCore
internal import FlowEngine
internal import FlowGraph
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
  /// The first sample's noise, if it is a part of a larger image's.
  var firstNoise: Latents?
  /// The input that is 1 for rows that leave layers out, for requests with skip-layer guidance.
  var skipInput: PortName?
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
      // diffusers' inpainting UNets draw no latents of the image if they start from pure noise.
      if family.maskedImage != .cells || source.strength < 1 { noise = drawn }
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
  ///
  /// - Parameter skip: the input that is 1 for the rows that leave layers out, if there are any.
  fileprivate func adding(
    _ inputs: [Conditioning.Input], unconditional: [Conditioning.Input], skip: PortName?
  ) -> RequestConditioning {
    let kept = skip.map { [Conditioning.Input($0, [0])] } ?? []
    return RequestConditioning(
      prompted: prompted.adding(inputs + kept),
      unprompted: unprompted?.adding(unconditional + kept), source: source?.adding(inputs + kept),
      skipping: skip.map { prompted.adding(inputs + [.init($0, [1])]) }, chunkCount: chunkCount)
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
            unconditional: start.inputs + adapted.unconditional, skip: start.skipInput)
        ))
    }
    let first = conditionings[0].1
    self.init(
      id: id, plan: plan, guidance: request.guidance, prompted: first.prompted,
      unprompted: first.unprompted, sourcePrompted: first.source, skipping: first.skipping,
      reference: start.reference, mask: start.mask, firstNoise: start.firstNoise,
      noise: start.noise, laterNoise: start.laterNoise, shape: shape,
      keepsEstimate: keepsEstimate)
    change(
      conditionings.dropFirst().map { stage, conditioning in
        ConditioningChange(
          stage: stage, prompted: conditioning.prompted, unprompted: conditioning.unprompted,
          sourcePrompted: conditioning.source, skipping: conditioning.skipping)
      })
  }
}
