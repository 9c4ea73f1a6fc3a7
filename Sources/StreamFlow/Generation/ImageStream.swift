internal import FlowModels

/// Images as they finish; asking for the next one runs the next ticks.
///
/// An image that fails throws its own error from `next()`, and the images after it can still
/// be asked for. Letting go of the stream gives up what has not been made.
public struct ImageStream: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = GeneratedImage

  private let events: GenerationEvents
  /// The number of images that were asked for.
  public var count: Int { events.count }

  init(_ events: GenerationEvents) { self.events = events }

  /// Begins to pull images; a stream has one iterator.
  public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator()) }

  /// Pulls images.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate var events: GenerationEvents.Iterator

    /// The next image, or nothing after the last.
    public mutating func next() async throws -> GeneratedImage? {
      while let event = try await events.next() {
        switch event {
        case .preview, .stepped: continue
        case .finished(let image): return image
        case .failed(_, let error): throw error
        }
      }
      return nil
    }
  }
}
