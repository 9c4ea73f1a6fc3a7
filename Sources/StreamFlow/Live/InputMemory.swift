internal import FlowCore
internal import FlowModels

/// What a stream remembers of its inputs, to do only the work that changed.
struct InputMemory: Sendable {
  private var detector: ChangeDetector
  private var motion: MotionStrength
  private var isFirst = true

  init(_ reuse: LiveReuse) {
    detector = ChangeDetector(threshold: reuse.changeThreshold)
    motion = MotionStrength(response: reuse.motionResponse)
  }

  /// What is done for an input.
  struct Work: Sendable {
    /// The part of it.
    enum Part: Equatable, Sendable {
      /// Nothing: the image before is the image.
      case nothing
      /// All of it.
      case whole
      /// A region.
      case region(WorkRegion)
    }

    /// The input, or what is held of it.
    var image: PixelImage
    /// The cells that changed; nil if inputs are not compared.
    var changed: CellMap?
    /// The denoising strength.
    var strength: Double
    var part: Part
  }

  /// Compares an input at the images' size with those before it.
  ///
  /// - Parameters:
  ///   - unit: the sides of images are multiples of this.
  ///   - factor: the pixels of a latent pixel's side.
  mutating func work(
    on input: PixelImage, with settings: LiveSettings, mask: ImageMask?, unit: Int, factor: Int
  ) -> Work {
    let reuse = settings.reuse
    var work = Work(image: input, changed: nil, strength: settings.strength, part: .whole)
    if reuse.motionResponse > 0 {
      work.strength = motion.next(base: settings.strength, image: input)
    }
    guard reuse.comparesInputs else { return work }
    let changed = detector.take(input)
    work.changed = changed
    if reuse.holdsStill, let held = detector.held { work.image = held }
    defer { isFirst = false }
    guard !isFirst, settings.seedPolicy == .fixed, reuse.holdsStill || reuse.regionMargin != nil
    else { return work }
    let size = PixelSize(width: input.width, height: input.height)
    let margin = reuse.regionMargin ?? 0
    let masked = mask?.bounds
    let isReached =
      masked.map { changed.intersects($0.grown(by: margin, within: size)) } ?? !changed.isEmpty
    // Without a region, the network sees what lies outside of the mask.
    if reuse.regionMargin == nil ? changed.isEmpty : !isReached {
      work.part = .nothing
    } else if reuse.regionMargin != nil, let made = masked ?? changed.bounds,
      let region = WorkRegion(around: made, margin: margin, in: size, unit: unit, factor: factor)
    {
      work.part = .region(region)
    }
    return work
  }
}
