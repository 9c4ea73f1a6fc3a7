public import FlowCore
internal import FlowModels
internal import Foundation

/// What the images of a live stream are made with; all of it can be changed while it runs.
public struct LiveSettings: Equatable, Sendable {
  /// Which noise the images have.
  public enum SeedPolicy: String, Sendable, CaseIterable {
    /// All the same: what does not change in the input does not flicker.
    case fixed
    /// Each the next seed after the one before.
    case perFrame = "per-frame"
  }

  /// What each image is made with.
  ///
  /// Its source is the stream's input, and its own is not looked at; its seed is that of the first
  /// image.
  public var request: GenerationRequest
  /// Denoising strength of each input, above 0 and at most 1; see ``InputImage/strength``.
  public var strength = 0.5
  /// How inputs are brought to the size of the images.
  public var fit = ImageFit()
  /// Which noise the images have.
  public var seedPolicy = SeedPolicy.fixed
  /// The width of images in pixels; the model's own where nothing is said.
  public var width: Int?
  /// The height of images in pixels; the model's own where nothing is said.
  public var height: Int?
  /// Where inputs are repainted, stretched to the images' size; nil for everywhere.
  public var mask: ImageMask?
  /// The softness of the mask's edge; see ``InputImage/maskBlur``.
  public var maskBlur = 2.0
  /// Which inputs are skipped because they are like the one before; none where nothing is said.
  public var filter: FrameGate.Settings?

  /// Creates settings of a prompt: 4 steps, strength 0.5, evenly spaced times, so that strength is
  /// the noise of the first step.
  public init(prompt: String) {
    request = GenerationRequest(prompt: prompt)
    request.spacing = .uniform
  }

  /// The request of one input.
  ///
  /// - Parameters:
  ///   - image: the input.
  ///   - index: its number, for a seed of its own.
  public func request(for image: PixelImage, index: Int) -> GenerationRequest {
    var request = request
    request.source = InputImage(
      image: image, strength: strength, fit: fit, mask: mask, maskBlur: maskBlur)
    if seedPolicy == .perFrame { request.seed &+= UInt64(index) }
    return request
  }
}

/// How a live stream is set up.
public struct LiveOptions: Sendable {
  /// The inputs that are admitted together, 1 or more: images come out as many at a time.
  public var frameBuffer = 1
  /// The most rows of a tick; by measurement where nothing is said.
  public var rowCapacity: Int?
  /// The most images that are decoded together.
  public var decodeBatch = 4
  /// Whether engines of encoding, ticks and decoding run at the same time; where not they take
  /// turns on the device's thread (``EngineStore/queue``), with all others that share it.
  ///
  /// Each engine spreads its work over all cores and waits for the slowest: on two cores two at a
  /// time take longer than one after the other. By default where there are 8 cores or more.
  public var overlaps = ProcessInfo.processInfo.activeProcessorCount >= 8
  /// How many of the text encoders' last layers are left out (clip skip).
  public var skippedTextLayers = 0
  /// Whether images are decoded whole or in tiles.
  public var decodeTiling = DecodeTiling.automatic
  /// The finished frames that wait to be taken before the stream waits too.
  public var outputCapacity = 4

  /// The bytes, about, of engines that may stay although nothing needs them now.
  ///
  /// A change back to a size that has its engines still takes effect at once. By default an eighth
  /// of the memory that is free when the stream is made, or 1 GiB where the system does not tell. At
  /// most 12 sizes are so kept; with 0 the engines of a size are let go of when the last of its
  /// images has come out.
  public var spareByteCount: Int?

  /// Creates the options of a stream with little delay.
  public init() {}
}
