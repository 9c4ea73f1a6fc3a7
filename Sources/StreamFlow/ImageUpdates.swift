public import FlowCore
internal import FlowModels

/// The progress of images of an ``ImageModel``.
public enum ImageUpdate: Sendable {
  /// The engines of a size are being compiled or loaded.
  case preparing(PixelSize)
  /// An image advanced a step.
  ///
  /// - Parameters:
  ///   - index: the index of the request, from 0.
  ///   - step: the number of finished evaluations, from 1.
  ///   - count: the total number of evaluations.
  case stepped(index: Int, step: Int, count: Int)
  /// A preview of an unfinished image: the end point of its current velocity.
  case preview(index: Int, PixelImage)
  /// An image is finished.
  case finished(GeneratedImage)
  /// An image failed; the others continue.
  case failed(index: Int, any Error)
}

/// The progress of requested images as it happens; asking for the next update runs the next steps.
///
/// Ends when each image has finished or failed. Releasing the sequence, or cancelling the task,
/// cancels unfinished images.
public struct ImageUpdates: AsyncSequence, Sendable {
  /// The type of the elements.
  public typealias Element = ImageUpdate

  let model: ImageModel
  let requests: [GenerationRequest]
  let previewCount: Int

  /// Starts generating the images.
  public func makeAsyncIterator() -> Iterator {
    // One size after another, in the order of their first images.
    var groups: [(size: PixelSize, indices: [Int])] = []
    for (index, request) in requests.enumerated() {
      let size = model.size(request.size)
      if let place = groups.firstIndex(where: { $0.size == size }) {
        groups[place].indices.append(index)
      } else {
        groups.append((size, [index]))
      }
    }
    return Iterator(updates: self, groups: groups[...])
  }

  /// Iterates over the updates.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let updates: ImageUpdates
    fileprivate var groups: ArraySlice<(size: PixelSize, indices: [Int])>
    private var current: (events: GenerationEvents.Iterator, indices: [Int])?
    private var announced: GeneratorPool?

    fileprivate init(
      updates: ImageUpdates, groups: ArraySlice<(size: PixelSize, indices: [Int])>
    ) {
      self.updates = updates
      self.groups = groups
    }

    /// The next update, or nil after the last image.
    ///
    /// - Throws: `requestInvalid` for an invalid request; an error of the engines;
    ///   `CancellationError`.
    public mutating func next() async throws -> ImageUpdate? {
      while true {
        if let (events, indices) = current {
          var events = events
          let event = try await events.next()
          if let event { return update(of: event, indices) }
          current = nil
        }
        guard let group = groups.first else { return nil }
        let generator = try await updates.model.generator(of: group.size)
        if announced !== generator, await !generator.isPrepared {
          announced = generator
          return .preparing(group.size)
        }
        groups.removeFirst()
        let events = try await generator.events(
          for: group.indices.map { updates.requests[$0] }, previewCount: updates.previewCount,
          reportsSteps: true)
        current = (events.makeAsyncIterator(), group.indices)
      }
    }

    private func update(of event: GenerationEvent, _ indices: [Int]) -> ImageUpdate {
      switch event {
      case .preview(let index, _, let image): .preview(index: indices[index], image)
      case .stepped(let index, let step, let count):
        .stepped(index: indices[index], step: step, count: count)
      case .failed(let index, let error): .failed(index: indices[index], error)
      case .finished(let image):
        .finished(
          GeneratedImage(
            image: image.image, request: image.request, index: indices[image.index],
            devices: image.devices))
      }
    }
  }
}
