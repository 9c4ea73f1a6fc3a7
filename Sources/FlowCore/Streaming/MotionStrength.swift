/// A denoising strength that decreases while a stream's images move.
///
/// The rule of StreamDiffusionV2 (Feng et al., 2025, arXiv:2511.07399): the motion `d` is the root mean
/// square of the difference to the previous image in the range -1 to 1, divided by 0.2 and at most 1,
/// and the strength follows `base - response * d`, nine tenths of the way with each image. Moving
/// images keep more of the input, which trails and flickers less; still ones are repainted at the
/// base. Values are rounded to 1/128, so that a stream has few different plans.
public struct MotionStrength: Sendable {
  /// The decrease at the largest motion, 0 or more.
  public var response: Double
  private var last: PixelImage?
  private var current: Double?

  /// Creates a strength that has seen no image.
  public init(response: Double) { self.response = response }

  /// The strength of the next image.
  ///
  /// - Parameters:
  ///   - base: the strength without motion.
  ///   - image: the image; one of another size than the previous has no motion.
  /// - Returns: a strength above 0 and at most the base.
  public mutating func next(base: Double, image: PixelImage) -> Double {
    let motion = last.map { Self.motion(from: $0, to: image) } ?? 0
    last = image
    let target = base - response * motion
    let strength = 0.9 * target + 0.1 * (current ?? target)
    current = strength
    guard strength < base else { return base }
    return min(max((strength * 128).rounded(), 1) / 128, base)
  }

  /// The motion between two images, 0 to 1.
  static func motion(from old: PixelImage, to new: PixelImage) -> Double {
    guard old.width == new.width, old.height == new.height, !new.pixels.isEmpty else { return 0 }
    let (before, after) = (old.pixels.span, new.pixels.span)
    var squares: UInt64 = 0
    for index in after.indices {
      let difference = Int32(after[index]) - Int32(before[index])
      squares += UInt64(difference * difference)
    }
    let rms = (Double(squares) / Double(new.pixels.count)).squareRoot() / 127.5
    return min(rms / 0.2, 1)
  }
}
