internal import FlowCore
internal import FlowEngine

/// Turns what has arrived into pictures.
actor DecodeStage {
  private nonisolated let executor = QueueExecutor(label: "streamflow.live.decode")
  private var decoders: [LiveSize: LatentDecoder] = [:]

  /// The thread that this actor has to itself.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Takes in what decodes pictures of one size.
  func add(_ decoder: sending LatentDecoder, size: LiveSize) { decoders[size] = decoder }

  /// Lets go of all sizes but these.
  func keep(only kept: Set<LiveSize>) { decoders = decoders.filter { kept.contains($0.key) } }

  /// Decodes pictures, those of one size together; one that came out as no number is nothing.
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

  /// How its engines came to be.
  var reports: [EngineReport] { decoders.values.flatMap(\.made) }

  /// Keeps large engines in the cache.
  func keepEngines() {
    for decoder in decoders.values { decoder.keep() }
  }
}
