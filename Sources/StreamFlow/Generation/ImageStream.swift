internal import FlowModels

/// Images as they finish; asking for the next one runs the next ticks.
///
/// An image that fails throws its own error from `next()`, and iteration can continue with the
/// images after it. Releasing the stream cancels unfinished images.
public struct ImageStream: AsyncSequence, Sendable {
  /// The type of the elements.
  public typealias Element = GeneratedImage

  private let events: GenerationEvents
  /// The number of requested images.
  public var count: Int { events.count }

  init(_ events: GenerationEvents) { self.events = events }

  /// Starts iterating; a stream has one iterator.
  public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator()) }

  /// Iterates over the images.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate var events: GenerationEvents.Iterator

    /// The next image, or nil after the last.
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
