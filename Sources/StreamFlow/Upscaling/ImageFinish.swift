internal import FlowCore
internal import FlowModels

/// The postprocessing of a generator's images: a second pass, an upscaler, or both in this order.
public struct ImageFinish: Sendable {
  /// The second pass, if there is one.
  public let hires: HiresFix?
  /// The upscaler, if there is one.
  public let upscaling: Upscaling?

  /// Creates a postprocessing.
  public init(hires: HiresFix? = nil, upscaling: Upscaling? = nil) {
    (self.hires, self.upscaling) = (hires, upscaling)
  }

  /// The images of a generator after postprocessing.
  public func images(of base: ImageStream) -> FinishedImages {
    FinishedImages(base: base, finish: self)
  }

  /// The settings of a generator's image, with those of the postprocessing.
  public func parameters(_ text: String) -> String {
    GenerationSettings.adding((hires?.settings ?? []) + (upscaling?.settings ?? []), to: text)
  }

  /// An image after its last pass, enlarged if there is an upscaler.
  ///
  /// - Throws: as ``Upscaler/upscale(_:by:)``.
  public func upscaled(_ image: GeneratedImage) async throws -> GeneratedImage {
    guard let upscaling else { return image }
    return image.replacing(try await upscaling(image.image), after: upscaling.settings)
  }
}

/// Finished images; asking for the next one runs what it needs.
///
/// An image that fails throws its own error from `next()`, and iteration can continue with the
/// images after it. The request of an image is that of the first pass.
public struct FinishedImages: AsyncSequence, Sendable {
  /// The type of the elements.
  public typealias Element = GeneratedImage

  fileprivate let base: ImageStream
  fileprivate let finish: ImageFinish
  /// The number of requested images.
  public var count: Int { base.count }

  /// Starts iterating; a stream has one iterator.
  public func makeAsyncIterator() -> Iterator {
    Iterator(base: base.makeAsyncIterator(), finish: finish)
  }

  /// Iterates over the images.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate var base: ImageStream.Iterator
    fileprivate let finish: ImageFinish
    /// Images of the first pass, with their enlarged pixels.
    private var waiting: [(image: GeneratedImage, enlarged: PixelImage)] = []
    /// The second pass of some images, with the images of the first pass.
    private var second: (images: ImageStream.Iterator, first: [GeneratedImage])?

    fileprivate init(base: ImageStream.Iterator, finish: ImageFinish) {
      (self.base, self.finish) = (base, finish)
    }

    /// The next image, or nil after the last.
    public mutating func next() async throws -> GeneratedImage? {
      guard let made = try await made() else { return nil }
      return try await finish.upscaled(made)
    }

    /// The next image of the last pass.
    private mutating func made() async throws -> GeneratedImage? {
      guard let hires = finish.hires else { return try await base.next() }
      while true {
        if let first = second?.first {
          if let image = try await second?.images.next() {
            return first[image.index].replacing(image.image, after: hires.settings)
          }
          second = nil
        }
        guard try await beginSecondPass(hires) else { return nil }
      }
    }

    /// Takes as many images of the first pass as the second has room for.
    ///
    /// - Returns: whether there were any.
    private mutating func beginSecondPass(_ hires: HiresFix) async throws -> Bool {
      var generator: GeneratorPool?
      while waiting.count < generator?.rowCapacity ?? 1 {
        guard let image = try await base.next() else { break }
        let enlarged = try await hires.enlarged(image.image)
        waiting.append((image, enlarged))
        let size = PixelSize(width: enlarged.width, height: enlarged.height)
        if generator == nil { generator = try await hires.model.generator(of: size) }
      }
      guard !waiting.isEmpty else { return false }
      let group = waiting
      waiting = []
      let size = PixelSize(width: group[0].enlarged.width, height: group[0].enlarged.height)
      let requests = group.map { hires.request(of: $0.image.request, from: $0.enlarged) }
      let images = try await hires.model.generator(of: size).images(for: requests)
      second = (images.makeAsyncIterator(), group.map(\.image))
      return true
    }
  }
}

extension GeneratedImage {
  /// The same image with other pixels and the request of the first pass.
  fileprivate func replacing(
    _ image: PixelImage, after finishing: [GenerationSettings.Field]
  ) -> GeneratedImage {
    GeneratedImage(
      image: image, request: request, index: index, finishing: self.finishing + finishing,
      devices: devices)
  }
}
