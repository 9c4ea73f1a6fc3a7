public import FlowCore
internal import FlowModels

/// The input of image-to-image generation.
public struct InputImage: Equatable, Sendable {
  /// The image, of any size.
  public var image: PixelImage
  /// Denoising strength, above 0 and at most 1; 1 ignores the input.
  ///
  /// The fraction of the noise range that sampling covers, with the request's number of steps.
  public var strength: Double
  /// How it is fitted to the size of the generated images.
  public var fit: ImageFit
  /// Where the image is repainted; nil for everywhere.
  ///
  /// A mask of another size is stretched to it.
  ///
  /// Elsewhere the image keeps its own pixels, byte for byte if it has the generated size.
  public var mask: ImageMask?
  /// The softness of the mask's edge: the standard deviation of a blur in pixels of the generated
  /// image, 0 or more.
  ///
  /// The transition lies inside the mask.
  public var maskBlur: Double
  /// A hash that identifies the image in the settings of images made from it, without spaces; nil
  /// records none (`GenerationRequest.recordInputHashes`).
  public var hash: String?
  /// The same for the mask.
  public var maskHash: String?
  /// The padding of the region of a larger image that the image is (``MaskedRegion``), which the
  /// settings record; nil for a whole image.
  public var maskPadding: Int?

  /// Creates an input.
  public init(
    image: PixelImage, strength: Double = 0.5, fit: ImageFit = ImageFit(), mask: ImageMask? = nil,
    maskBlur: Double = 2
  ) {
    self.image = image
    self.strength = strength
    self.fit = fit
    self.mask = mask
    self.maskBlur = maskBlur
  }
}

/// A second seed and the fraction of its noise that is blended in.
///
/// Its fractions form a path of images.
public struct SeedBlend: Hashable, Sendable {
  /// The other seed.
  public var seed: UInt64
  /// The fraction of its noise, 0 to 1.
  public var fraction: Float

  /// Creates a blend.
  public init(seed: UInt64, fraction: Float) {
    self.seed = seed
    self.fraction = fraction
  }
}

/// Other prompts, and the weight with which each is blended into an image's own.
public struct PromptBlend: Hashable, Sendable {
  /// How conditionings are mixed.
  public enum Kind: String, Sendable, CaseIterable {
    /// Linearly: the weighted mean.
    case linear
    /// Spherically: each token along the arc between the two (`ArcMix`), which keeps its length.
    case spherical
  }

  /// One of the other prompts.
  public struct Part: Hashable, Sendable {
    /// The prompt.
    public var prompt: String
    /// Its weight, 0 to 1.
    public var weight: Float

    /// Creates a part.
    public init(prompt: String, weight: Float) {
      self.prompt = prompt
      self.weight = weight
    }
  }

  /// The other prompts; their weights are subtracted from 1 to give the weight of the image's own
  /// prompt.
  public var parts: [Part]
  /// How they are blended.
  public var kind: Kind

  /// Creates a blend.
  public init(_ parts: [Part], kind: Kind = .spherical) {
    self.parts = parts
    self.kind = kind
  }

  /// The remaining weight of the image's own prompt.
  public var ownWeight: Float { 1 - parts.reduce(0) { $0 + $1.weight } }

  /// Checks that the weights are fractions of 1.
  func check() throws(ModelError) {
    // Weights are written in decimals, whose sum may exceed 1 by a rounding error.
    guard parts.allSatisfy({ (0...1).contains($0.weight) }), ownWeight > -1e-4 else {
      throw ModelError(
        code: .requestInvalid,
        message: "the weights of blended prompts are 0 to 1 and at most 1 together, got "
          + parts.map { "\($0.weight)" }.joined(separator: ", "))
    }
  }
}
