/// A sample in the autoencoder's latent space, or noise, velocity or output of the same shape.
public struct Latents: Equatable, Sendable {
  /// The extents of one sample without a row axis: `[channels, height, width]`.
  public let shape: Shape
  /// The elements, width fastest.
  public internal(set) var scalars: [Float]

  /// Creates latents from their elements.
  ///
  /// - Precondition: the number of elements matches the shape.
  public init(shape: Shape, scalars: [Float]) {
    precondition(
      scalars.count == shape.elementCount,
      "\(shape) needs \(shape.elementCount) elements, got \(scalars.count)")
    self.shape = shape
    self.scalars = scalars
  }

  /// Creates latents filled with zeros.
  public init(zeros shape: Shape) {
    self.init(shape: shape, scalars: [Float](repeating: 0, count: shape.elementCount))
  }

  /// Whether no element is NaN or infinite.
  public var isFinite: Bool { scalars.allSatisfy(\.isFinite) }
}
