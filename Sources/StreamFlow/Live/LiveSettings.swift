public import FlowCore
internal import FlowModels
internal import Foundation

/// The settings of a live stream; all of them can be changed while it runs.
public struct LiveSettings: Equatable, Sendable {
  /// The choice of noise.
  public enum SeedPolicy: String, Sendable, CaseIterable {
    /// The same noise for all images: what does not change in the input does not flicker.
    case fixed
    /// The next seed for each image.
    case perFrame = "per-frame"
  }

  /// The request of each image.
  ///
  /// Its source is replaced by the stream's input; its seed is that of the first image.
  public var request: GenerationRequest
  /// Denoising strength of each input, above 0 and at most 1; see ``InputImage/strength``.
  public var strength = 0.5
  /// How inputs are fitted to the size of the images.
  public var fit = ImageFit()
  /// The choice of noise.
  public var seedPolicy = SeedPolicy.fixed
  /// The width of images in pixels; nil for the model's own.
  public var width: Int?
  /// The height of images in pixels; nil for the model's own.
  public var height: Int?
  /// Where inputs are repainted, stretched to the images' size; nil for everywhere.
  public var mask: ImageMask?
  /// The softness of the mask's edge; see `InputImage.maskBlur`.
  public var maskBlur = 2.0
  /// The filter that skips inputs similar to the previous one; nil for none.
  public var filter: FrameGate.Settings?
  /// What is reused of the inputs and images before.
  public var reuse = LiveReuse()

  /// Creates settings of a prompt: 4 steps, strength 0.5, uniform spacing, so that strength is the
  /// sigma of the first step.
  public init(prompt: String) {
    request = GenerationRequest(prompt: prompt)
    request.spacing = .uniform
  }

  /// The request of one input.
  ///
  /// - Parameters:
  ///   - image: the input.
  ///   - index: its index, for a seed of its own.
  public func request(for image: PixelImage, index: Int) -> GenerationRequest {
    var request = request
    request.source = InputImage(
      image: image, strength: strength, fit: fit, mask: mask, maskBlur: maskBlur)
    if seedPolicy == .perFrame { request.seed &+= UInt64(index) }
    return request
  }
}

/// Options of a live stream.
public struct LiveOptions: Sendable {
  /// The number of inputs that are admitted together, 1 or more; images are delivered in the same
  /// groups.
  public var frameBuffer = 1
  /// The maximum number of batch rows of a tick; nil to measure it.
  public var rowCapacity: Int?
  /// The maximum number of images that are decoded together.
  public var decodeBatch = 4
  /// Whether engines of encoding, ticks and decoding run at the same time; otherwise they take
  /// turns on the device's thread (`EngineStore.queue`), with all other users of the thread.
  ///
  /// Each engine spreads its work over all cores and waits for the slowest: on two cores, two at a
  /// time take longer than one after the other. The default is true with 8 cores or more.
  public var overlaps = ProcessInfo.processInfo.activeProcessorCount >= 8
  /// How many of the text encoders' last layers are skipped (clip skip) if the request names no
  /// number.
  public var skippedTextLayers = 0
  /// Whether images are decoded whole or in tiles.
  public var decodeTiling = DecodeTiling.automatic
  /// Whether only the tiles are decoded that the change of latents since the image before reaches.
  ///
  /// The images are the same to 1/255. It has an effect with tiny autoencoders, on images with more
  /// than one tile (about 300 pixels a side with the starter), while the change is small: latents
  /// stay as they are outside of a mask, and outside of ``LiveReuse/regionMargin``'s region.
  public var decodesChanges = true
  /// Whether an input waits until the engines of its region (``LiveReuse/regionMargin``) are compiled, so that
  /// the images do not depend on how long that takes; for inputs from a file.
  ///
  /// If false, whole images are made until then.
  public var waitsForRegions = false
  /// The number of finished frames that may wait before the stream waits too.
  public var outputCapacity = 4

  /// The estimated bytes of idle engines that are kept.
  ///
  /// A change back to a size that still has its engines takes effect at once. The default is an
  /// eighth of the free memory when the stream is made, or 1 GiB if the system does not state it.
  /// At most 12 sizes are kept; with 0 the engines of a size are released when the last of its
  /// images has been delivered.
  public var spareByteCount: Int?

  /// Creates the options of a stream with little delay.
  public init() {}
}
