internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// Encodes the reference images of requests to network inputs, each image once.
final class ReferenceEncoder {
  private let checkpoint: Checkpoint
  private let provider: EngineProvider
  /// The encoders of the sizes used last, the most recent one at the end.
  private var encoders: [(size: PixelSize, encoder: SourceEncoder)] = []
  private var known = ByteBoundedCache<Key, ContiguousArray<Float>>(
    capacity: 256 << 20, countLimit: 64)
  /// The images of the requests that are admitted next.
  private var prepared: [Key: Result<ContiguousArray<Float>, any Error>] = [:]

  /// The number of sizes whose encoders are kept: references have any aspect ratio.
  private static let encoderLimit = 2

  private struct Key: Hashable {
    let image: PixelImage
    let area: Int?
  }

  init(_ checkpoint: Checkpoint, provider: EngineProvider) {
    self.checkpoint = checkpoint
    self.provider = provider
  }

  /// Encodes the new reference images of some requests; one that cannot be encoded is an error of
  /// ``inputs(of:)``.
  func prepare(
    for requests: [GenerationRequest], isolation: isolated (any Actor)? = #isolation
  ) async throws(CancellationError) {
    let keys = requests.flatMap(keys(of:))
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
  }

  /// Whether the reference images of a request are encoded, or have failed to be.
  func isReady(for request: GenerationRequest) -> Bool {
    keys(of: request).allSatisfy { prepared[$0] != nil }
  }

  /// The network inputs of a request's reference images.
  ///
  /// - Throws: the error of encoding one of them.
  /// - Precondition: ``isReady(for:)``.
  func inputs(of request: GenerationRequest) throws -> [Conditioning.Input] {
    try keys(of: request).enumerated().map { index, key in
      guard let latents = try prepared[key]?.get() else {
        preconditionFailure("reference \(index) was not encoded")
      }
      return .init(checkpoint.family.referenceInput(index), latents)
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
