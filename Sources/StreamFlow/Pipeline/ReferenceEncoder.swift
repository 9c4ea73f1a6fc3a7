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

  /// Encodes the new reference images of some requests, and computes the keys and values of the one
  /// that is admitted next; what cannot be encoded is an error of ``inputs(of:)``.
  ///
  /// - Parameters:
  ///   - requests: the requests.
  ///   - next: the one of them that is admitted next, if any.
  ///   - beforeTable: called before keys and values are computed; its error is that of the request.
  func prepare(
    for requests: [GenerationRequest], next: GenerationRequest?,
    isolation: isolated (any Actor)? = #isolation, beforeTable: () async throws -> Void
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
    guard checkpoint.family.readsReferenceTable, let set = next.map(keys(of:)), !set.isEmpty
    else { return }
    let images = set.compactMap { key -> ReferenceTables.Image? in
      guard case .success(let latents) = prepared[key], let size = try? latentSize(of: key)
      else { return nil }
      return ReferenceTables.Image(size: size, latents: latents)
    }
    // The error of an image is the error of its requests.
    guard images.count == set.count else { return }
    try await tables.prepare(set, of: images, before: beforeTable)
  }

  /// Whether the reference images of a request are encoded, or have failed to be.
  func isReady(for request: GenerationRequest) -> Bool {
    let keys = keys(of: request)
    var hasFailed = false
    for key in keys {
      switch prepared[key] {
      case nil: return false
      case .failure: hasFailed = true
      case .success: break
      }
    }
    return hasFailed || keys.isEmpty || !checkpoint.family.readsReferenceTable
      || tables.isReady(for: keys)
  }

  /// Releases what is held for requests that wait; there are none.
  func forget() {
    prepared = [:]
    tables.forget()
  }

  /// The network inputs of a request's reference images.
  ///
  /// - Throws: the error of encoding one of them; another request for them tries again.
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
    switch prepared[key] {
    case .success(let latents): return latents
    case .failure(let error):
      prepared[key] = nil
      throw error
    case nil: preconditionFailure("a reference image was not encoded")
    }
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
        checkpoint, width: size.width, height: size.height, provider: provider.placed(.decoder))
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
