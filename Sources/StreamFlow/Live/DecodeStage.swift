internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// Decodes arrived latents to images.
actor DecodeStage {
  private nonisolated let executor: DeviceQueue
  private var decoders: [PixelSize: LatentDecoder] = [:]

  /// The device's thread, or its own.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// - Parameter executor: the thread that programs run on.
  init(executor: DeviceQueue) { self.executor = executor }

  /// Adds the decoder of one size.
  func add(_ decoder: sending LatentDecoder, size: PixelSize) { decoders[size] = decoder }

  /// Removes the decoders of all other sizes.
  func keep(only kept: Set<PixelSize>) { decoders = decoders.filter { kept.contains($0.key) } }

  /// Decodes images, those of one size together; nil for one with NaN or infinity.
  ///
  /// - Precondition: their sizes were added.
  func decode(_ arrivals: [Arrival]) throws -> [Int: PixelImage] {
    var pictures: [Int: PixelImage] = [:]
    for (size, group) in Dictionary(grouping: arrivals, by: \.size) {
      guard let decoder = decoders[size] else { preconditionFailure("\(size) was not added") }
      let sound = group.filter(\.latents.isFinite)
      for (arrival, picture) in zip(sound, try decoder.decode(sound.map(\.latents))) {
        pictures[arrival.index] = picture
      }
    }
    return pictures
  }
}
