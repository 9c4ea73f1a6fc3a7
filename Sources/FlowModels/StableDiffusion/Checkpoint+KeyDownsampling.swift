extension Checkpoint {
  /// The supported ratios of ``downsamplingKeys(by:)``.
  public static let keyDownsamplings = 2...4

  /// The ratio by which keys and values of the largest self-attention are downsampled; 1 for none.
  public var keyDownsampling: Int { (family as? StableDiffusion)?.unet.keyDownsampling ?? 1 }

  /// The same model with keys and values of its largest self-attention, in the down and up blocks
  /// of one level, computed from fewer positions: those of every second row and column for a factor
  /// of 2.
  ///
  /// It makes large images faster, which differ from the model's own. The positions are those of
  /// `nearest-exact` interpolation (Smith et al., 2024, arXiv:2402.13573).
  ///
  /// - Parameter factor: the ratio of sides, 2 to 4.
  /// - Throws: `requestInvalid` for another factor, `unsupported` for models without a UNet that
  ///   attends.
  public func downsamplingKeys(by factor: Int) throws(ModelError) -> Checkpoint {
    guard Self.keyDownsamplings.contains(factor) else {
      throw ModelError(
        code: .requestInvalid,
        message: "keys are downsampled by \(Self.keyDownsamplings.lowerBound) to "
          + "\(Self.keyDownsamplings.upperBound), got \(factor)", settings: [.keyDownsampling])
    }
    guard let family = family as? StableDiffusion, family.unet.largestAttention != nil else {
      throw ModelError(
        code: .unsupported,
        message:
          "keys are downsampled in UNets with attention, such as those of Stable Diffusion 1, "
          + "2 and XL; '\(name)' has no such network", settings: [.keyDownsampling])
    }
    var checkpoint = self
    checkpoint.family = family.downsamplingKeys(by: factor)
    return checkpoint
  }
}
