internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// Encodes the reference images of requests to network inputs: each image once, and the keys and values
/// of each set of images once, for a network that reads those.
final class ReferenceEncoder {
  private let checkpoint: Checkpoint
  private let provider: EngineProvider
  /// The encoders of the sizes used last, the most recent one at the end.
  private var encoders: [(size: PixelSize, encoder: SourceEncoder)] = []
  private var known = ByteBoundedCache<Key, ContiguousArray<Float>>(
    capacity: 256 << 20, countLimit: 64)
  /// The images of the requests that are admitted next.
  private var prepared: [Key: Result<ContiguousArray<Float>, any Error>] = [:]
  /// The keys and values of sets of images.
  private let tables: ReferenceTables

  /// The number of sizes whose encoders are kept: references have any aspect ratio.
  private static let encoderLimit = 2

  /// A reference image at its size.
  struct Key: Hashable {
    let image: PixelImage
    let area: Int?
  }

  init(_ checkpoint: Checkpoint, provider: EngineProvider) {
    self.checkpoint = checkpoint
    self.provider = provider
    tables = ReferenceTables(checkpoint, provider: provider)
  }

  /// Encodes the new reference images of some requests; one that cannot be encoded is an error of
  /// ``inputs(of:)``.
  func prepare(
    for requests: [GenerationRequest], isolation: isolated (any Actor)? = #isolation
  ) async throws(CancellationError) {
    let sets = requests.map(keys(of:)).filter { !$0.isEmpty }
    let keys = sets.flatMap { $0 }
    guard !keys.isEmpty else { return }
    prepared = prepared.filter { keys.contains($0.key) }
    for key in keys where prepared[key] == nil {
      if let latents = known[key] {
        prepared[key] = .success(latents)
        continue
      }
      do {
        let latents = try await encode(key)
        known.insert(
          latents, for: key, byteCount: 4 * latents.count + key.image.pixels.count)
        prepared[key] = .success(latents)
      } catch let error as CancellationError { throw error } catch {
        prepared[key] = .failure(error)
      }
    }
    guard checkpoint.family.readsReferenceTable else { return }
    var images: [[Key]: [ReferenceTables.Image]] = [:]
    for set in sets {
      // The error of an image is the error of its requests.
      images[set] = try? set.map {
        ReferenceTables.Image(size: try latentSize(of: $0), latents: try latents(of: $0))
      }
    }
    try await tables.prepare(images)
  }

  /// Whether the reference images of a request are encoded, or have failed to be.
  func isReady(for request: GenerationRequest) -> Bool {
    let keys = keys(of: request)
    return keys.allSatisfy { prepared[$0] != nil }
      && (!checkpoint.family.readsReferenceTable || keys.isEmpty || tables.isReady(for: keys)
        || keys.contains { (try? prepared[$0]?.get()) == nil })
  }

  /// The network inputs of a request's reference images.
  ///
  /// - Throws: the error of encoding one of them.
  /// - Precondition: ``isReady(for:)``.
  func inputs(of request: GenerationRequest) throws -> [Conditioning.Input] {
    let (keys, family) = (keys(of: request), checkpoint.family)
    let images = try keys.map(latents(of:))
    guard family.readsReferenceTable, !images.isEmpty else {
      return images.enumerated().map { .init(family.referenceInput($0.offset), $0.element) }
    }
    return [.init(family.referenceTableInput, try tables.table(of: keys))]
  }

  private func latentSize(of key: Key) throws -> LatentSize {
    let (size, factor) = (
      try checkpoint.referenceSize(of: key.image, area: key.area).encoded,
      checkpoint.autoencoder.factor
    )
    return LatentSize(height: size.height / factor, width: size.width / factor)
  }

  private func latents(of key: Key) throws -> ContiguousArray<Float> {
    guard let latents = try prepared[key]?.get() else {
      preconditionFailure("a reference image was not encoded")
    }
    return latents
  }

  private func keys(of request: GenerationRequest) -> [Key] {
    request.references.map { Key(image: $0, area: request.referenceArea) }
  }

  private func encode(
    _ key: Key, isolation: isolated (any Actor)? = #isolation
  ) async throws -> ContiguousArray<Float> {
    let size = try checkpoint.referenceSize(of: key.image, area: key.area)
    let image = key.image
      .resampled(width: size.resized.width, height: size.resized.height, fit: ImageFit(.stretch))
      .croppedToCenter(size.encoded)
    return ContiguousArray(
      try await encoder(of: size.encoded).mean(of: image, isShifted: true).scalars)
  }

  private func encoder(
    of size: PixelSize, isolation: isolated (any Actor)? = #isolation
  ) async throws -> SourceEncoder {
    if let index = encoders.firstIndex(where: { $0.size == size }) {
      encoders.append(encoders.remove(at: index))
    } else {
      encoders = encoders.suffix(Self.encoderLimit - 1)
      let encoder = try await SourceEncoder.make(
        checkpoint, width: size.width, height: size.height, provider: provider)
      encoders.append((size, encoder))
    }
    return encoders[encoders.count - 1].encoder
  }
}

extension PixelImage {
  /// The center of a size, rounded up and left, as diffusers crops.
  ///
  /// - Precondition: the size is at most the image's.
  fileprivate func croppedToCenter(_ size: PixelSize) -> PixelImage {
    guard size != PixelSize(width: width, height: height) else { return self }
    return cropped(
      to: PixelRegion(
        x: (width - size.width) / 2, y: (height - size.height) / 2, width: size.width,
        height: size.height))
  }
}
