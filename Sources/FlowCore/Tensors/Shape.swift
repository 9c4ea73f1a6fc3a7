/// The extents of a tensor, outermost first; `[1, 4, 64, 64]` is one row of 64 by 64 latents.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The extents, none of them negative.
  public let dimensions: [Int]

  /// Creates a shape from its extents.
  ///
  /// - Precondition: no extent is negative, and their product fits an `Int`; validate untrusted
  ///   numbers with ``init(checking:)``.
  public init(_ dimensions: [Int]) {
    guard let shape = Shape(checking: dimensions) else {
      preconditionFailure(
        "a shape needs extents of 0 or more that multiply to an Int: \(dimensions)")
    }
    self = shape
  }

  /// Creates a shape from untrusted numbers, or returns nil if they are invalid.
  public init?(checking dimensions: [Int]) {
    // An extent of 0 must not hide an overflow of the others.
    var product = 1
    for dimension in dimensions {
      guard dimension >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(dimension, 1))
      guard !overflow else { return nil }
      product = next
    }
    self.dimensions = dimensions
    self.elementCount = dimensions.contains(0) ? 0 : product
  }

  /// Creates a shape from a literal such as `[2, 4, 8, 8]`.
  public init(arrayLiteral elements: Int...) { self.init(elements) }

  /// The number of elements: the product of the extents, 1 for a scalar.
  public let elementCount: Int

  /// The number of extents.
  public var rank: Int { dimensions.count }

  /// One extent, counted from the front, or from the back when negative.
  public subscript(axis: Int) -> Int {
    dimensions[axis >= 0 ? axis : dimensions.count + axis]
  }

  /// The same shape with one extent replaced.
  public func replacing(_ axis: Int, with extent: Int) -> Shape {
    var dimensions = dimensions
    dimensions[axis >= 0 ? axis : dimensions.count + axis] = extent
    return Shape(dimensions)
  }

  /// The extents as `[1, 4, 64, 64]`.
  public var description: String { "\(dimensions)" }
}
