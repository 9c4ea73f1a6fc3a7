public import FlowCore
internal import FlowGraph

extension GenerationRequest {
  /// Names the images that the request reads in the settings of its image: the source, its mask, the
  /// references and the images and masks of adapters, each by its size and a hash of its pixels.
  ///
  /// Images made from different inputs then have different settings, so that a resumed run tells them
  /// apart. Hashes that are already set stay.
  ///
  /// ```swift
  /// var request = model.request("a fox", seed: 7)
  /// request.source = InputImage(image: photo, strength: 0.6)
  /// request.recordInputHashes()
  /// ```
  public mutating func recordInputHashes() {
    if var source {
      source.hash = source.hash ?? source.image.settingsHash
      source.maskHash = source.maskHash ?? source.mask?.settingsHash
      self.source = source
    }
    if referenceHashes.isEmpty { referenceHashes = references.map(\.settingsHash) }
    for index in controls.indices where controls[index].hash == nil {
      controls[index].hash = controls[index].inputHash
    }
  }
}

extension PixelImage {
  /// The size and the XXH64 hash of the pixels, such as `512x384:0123456789abcdef`: the name of an
  /// input image in the settings of the images made from it, whatever the format of its file.
  public var settingsHash: String { "\(width)x\(height):\(ContentHash.of(pixels))" }
}

extension ImageMask {
  /// The same for a mask.
  public var settingsHash: String { "\(width)x\(height):\(ContentHash.of(coverage))" }
}
