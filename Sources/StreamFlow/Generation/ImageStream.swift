/// Pictures as they finish; asking for the next one runs the next ticks.
///
/// A picture that fails throws its own error from `next()`, and the pictures after it can still
/// be asked for. Leaving the loop gives up what has not been made.
public struct ImageStream: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = GeneratedImage

  private let generator: Generator
  private let id: Int
  /// The number of pictures that were asked for.
  public let count: Int

  init(generator: Generator, id: Int, count: Int) {
    self.generator = generator
    self.id = id
    self.count = count
  }

  /// Begins to pull pictures; a stream has one iterator.
  public func makeAsyncIterator() -> Iterator { Iterator(generator: generator, id: id) }

  /// Pulls pictures.
  public struct Iterator: AsyncIteratorProtocol {
    private let pull: Pull

    fileprivate init(generator: Generator, id: Int) { pull = Pull(generator: generator, id: id) }

    /// The next picture, or nothing after the last.
    public mutating func next() async throws -> GeneratedImage? {
      try Task.checkCancellation()
      return try await pull.generator.nextImage(of: pull.id)
    }
  }

  /// Gives the rest up when nobody pulls any more.
  private final class Pull: Sendable {
    let generator: Generator
    let id: Int

    init(generator: Generator, id: Int) {
      self.generator = generator
      self.id = id
    }

    deinit {
      let (generator, id) = (generator, id)
      Task { await generator.cancel(id) }
    }
  }
}
