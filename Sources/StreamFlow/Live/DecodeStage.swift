internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// Arrived latents, and how the image's latents are made of them and those before.
struct DecodeJob: Sendable {
  let arrival: Arrival
  /// The size of the image.
  let size: PixelSize
  /// The part of the image that the latents are of; nil for all of it.
  let region: WorkRegion?
  /// The cells of the image that changed; nil if inputs are not compared.
  let changed: CellMap?
  /// The weight of the previous latents where nothing changed.
  let blend: Float
  /// Whether later images may read these latents.
  let isKept: Bool
}

/// Decodes arrived latents to images.
actor DecodeStage {
  private nonisolated let executor: DeviceQueue
  private let factor: Int
  private var decoders: [PixelSize: LatentDecoder] = [:]
  /// The latents of the last image of each size.
  private var latents: [PixelSize: Latents] = [:]

  /// The device's thread, or its own.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// - Parameters:
  ///   - factor: the pixels of a latent pixel's side.
  ///   - executor: the thread that programs run on.
  init(factor: Int, executor: DeviceQueue) {
    self.factor = factor
    self.executor = executor
  }

  /// Adds the decoder of one size.
  func add(_ decoder: sending LatentDecoder, size: PixelSize) { decoders[size] = decoder }

  /// Whether images of a size can be decoded.
  func knows(_ size: PixelSize) -> Bool { decoders[size] != nil }

  /// Removes the decoders of all other sizes.
  func keep(only kept: Set<PixelSize>) {
    decoders = decoders.filter { kept.contains($0.key) }
    latents = latents.filter { kept.contains($0.key) }
  }

  /// Forgets the latents of earlier images.
  func clear() { latents = [:] }

  /// The images of some latents, and how many of them were decoded in part.
  struct Outcome: Sendable {
    var images: [Int: PixelImage] = [:]
    var partialCount = 0
  }

  /// Decodes images, those of one size together; none for one with NaN or infinity, or whose
  /// region has no image around it.
  ///
  /// - Parameter jobs: in the order of their images.
  /// - Precondition: their sizes were added.
  func decode(_ jobs: [DecodeJob]) throws -> Outcome {
    var outcome = Outcome()
    for (size, group) in Dictionary(grouping: jobs, by: \.size) {
      guard let decoder = decoders[size] else { preconditionFailure("\(size) was not added") }
      let before = decoder.partialCount
      let sound = group.compactMap { job in sample(of: job).map { (job.arrival.index, $0) } }
      for ((index, _), image) in zip(sound, try decoder.decode(sound.map(\.1))) {
        outcome.images[index] = image
      }
      outcome.partialCount += decoder.partialCount - before
    }
    return outcome
  }

  /// The latents of a whole image.
  private func sample(of job: DecodeJob) -> Latents? {
    var sample = job.arrival.latents
    guard sample.isFinite else { return nil }
    let before = latents[job.size]
    if let region = job.region {
      guard let before else { return nil }
      sample = before.replacing(region.part, with: sample, covering: region.latentWindow)
    }
    if job.blend > 0, let before {
      sample = sample.blended(with: before, weight: job.blend, except: job.changed, factor: factor)
    }
    if job.isKept { latents[job.size] = sample }
    return sample
  }
}
