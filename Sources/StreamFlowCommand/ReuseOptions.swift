internal import ArgumentParser
internal import StreamFlow

/// Options of `video` that reuse the frames before.
struct ReuseOptions: ParsableArguments {
  @Flag(
    help: """
      Keep the pixels of cells (8x8 pixels) that did not change: still parts do not flicker with the \
      camera's noise, and frames without any change are skipped.
      """)
  var holdStill = false

  @Option(
    help: ArgumentHelp(
      "The change of a block's mean that counts, above the camera's noise (0 to 1).",
      valueName: "fraction"))
  var changeThreshold = 0.04

  @Option(
    help: ArgumentHelp(
      """
      Run the network only on the region that changed, or on the mask's, with this margin; the rest \
      of the image is reused. An approximation: the network does not see the rest.
      """, valueName: "pixels"))
  var regionMargin: Int?

  @Option(
    help: ArgumentHelp(
      "Weight of the previous image's latents where nothing changed (0 to below 1).",
      valueName: "weight"))
  var latentBlend = 0.0

  @Option(
    help: ArgumentHelp(
      "How much full motion lowers the strength (0 to below 1); StreamDiffusionV2 takes 0.1.",
      valueName: "amount"))
  var motionResponse = 0.0

  @Flag(
    inversion: .prefixedNo,
    help: """
      Decode only the tiles that changed, where that is faster (tiny autoencoders, large images); \
      the images are the same to 1/255.
      """)
  var partialDecode = true

  func validate() throws {
    for (name, value) in [("change-threshold", changeThreshold)] where !(0...1).contains(value) {
      throw ValidationError("--\(name) must be 0 to 1, got \(value)")
    }
    for (name, value) in [("latent-blend", latentBlend), ("motion-response", motionResponse)]
    where !(value >= 0 && value < 1) {
      throw ValidationError("--\(name) must be 0 to below 1, got \(value)")
    }
    if let regionMargin, !(0...4096).contains(regionMargin) {
      throw ValidationError("--region-margin must be 0 to 4096, got \(regionMargin)")
    }
  }

  /// What is reused.
  var reuse: LiveReuse {
    var reuse = LiveReuse()
    (reuse.holdsStill, reuse.changeThreshold) = (holdStill, changeThreshold)
    (reuse.regionMargin, reuse.latentBlend) = (regionMargin, latentBlend)
    reuse.motionResponse = motionResponse
    return reuse
  }
}
