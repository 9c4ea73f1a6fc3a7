public import FlowCore
internal import FlowModels

/// An image that another one is made from: image to image.
public struct InputImage: Equatable, Sendable {
  /// The image, of any size.
  public var image: PixelImage
  /// Denoising strength, above 0 and at most 1, which ignores the input.
  ///
  /// The part of the way from noise to data that is gone, by as many steps as the request says.
  public var strength: Double
  /// How it is brought to the size of the images that are made.
  public var fit: ImageFit
  /// Where it is repainted; nil for everywhere. A mask of another size is stretched to the image's.
  ///
  /// The image keeps its own pixels elsewhere, byte for byte where it has the size that is made.
  public var mask: ImageMask?
  /// The softness of the mask's edge, in pixels of the image that is made: the standard deviation of
  /// a blur, 0 or more. The transition lies inside the mask.
  public var maskBlur: Double

  /// Creates a source.
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

/// Another seed, and how much of its noise is mixed in: two seeds make a path of images.
public struct SeedBlend: Hashable, Sendable {
  /// The other seed.
  public var seed: UInt64
  /// How much of it, 0 to 1.
  public var fraction: Float

  /// Creates a mix.
  public init(seed: UInt64, fraction: Float) {
    self.seed = seed
    self.fraction = fraction
  }
}

/// Other prompts, and how much of each is mixed into an image's own.
public struct PromptBlend: Hashable, Sendable {
  /// How conditionings are mixed.
  public enum Kind: String, Sendable, CaseIterable {
    /// In a straight line: the weighted mean.
    case linear
    /// Each token along the arc between the two (``ArcMix``), which keeps its length.
    case spherical
  }

  /// One of the other prompts.
  public struct Part: Hashable, Sendable {
    /// The prompt.
    public var prompt: String
    /// How much of it, 0 to 1.
    public var weight: Float

    /// Creates a part.
    public init(prompt: String, weight: Float) {
      self.prompt = prompt
      self.weight = weight
    }
  }

  /// The other prompts; what their weights leave of 1 is the weight of the image's own.
  public var parts: [Part]
  /// How they are mixed.
  public var kind: Kind

  /// Creates a mix.
  public init(_ parts: [Part], kind: Kind = .spherical) {
    self.parts = parts
    self.kind = kind
  }

  /// The weight that is left for the image's own prompt.
  public var ownWeight: Float { 1 - parts.reduce(0) { $0 + $1.weight } }

  /// Checks that the weights are parts of 1.
  func check() throws(ModelError) {
    // Weights are written in decimals, whose sum may be a hair above 1.
    guard parts.allSatisfy({ (0...1).contains($0.weight) }), ownWeight > -1e-4 else {
      throw ModelError(
        code: .requestInvalid,
        message: "the weights of blended prompts are 0 to 1 and at most 1 together, got "
          + parts.map { "\($0.weight)" }.joined(separator: ", "))
    }
  }
}
