/// The name of an input or an output of a graph, such as `sample`.
///
/// ```swift
/// let sample = graph.input("sample", shape: [2, 4, 64, 64])
/// ```
public struct PortName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The name as the runtime sees it.
  public let description: String

  /// Creates a name from a literal.
  public init(stringLiteral name: String) { description = name }

  /// Creates a name.
  public init(_ name: String) { description = name }
}
