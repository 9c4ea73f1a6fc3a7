/// A sample in the autoencoder's space, or anything of its size: noise, a velocity, an output.
public struct Latents: Equatable, Sendable {
  /// The extents of one sample without a row axis: `[channels, height, width]`.
  public let shape: Shape
  /// The elements, width fastest.
  public internal(set) var scalars: [Float]

  /// Creates latents from their elements.
  ///
  /// - Precondition: there are as many elements as the shape asks for.
  public init(shape: Shape, scalars: [Float]) {
    precondition(
      scalars.count == shape.elementCount,
      "\(shape) needs \(shape.elementCount) elements, got \(scalars.count)")
    self.shape = shape
    self.scalars = scalars
  }

  /// Creates latents that are 0 everywhere.
  public init(zeros shape: Shape) {
    self.init(shape: shape, scalars: [Float](repeating: 0, count: shape.elementCount))
  }

  /// Whether every element is a number: neither NaN nor infinite.
  public var isFinite: Bool { scalars.allSatisfy(\.isFinite) }
}
