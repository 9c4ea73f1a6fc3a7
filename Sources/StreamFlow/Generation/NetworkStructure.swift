/// What the network of a row reads besides sample and time; rows of one structure share a program.
struct NetworkStructure: Hashable, Sendable {
  /// The chunks of a conditioning's text.
  var chunks = 1
}

extension NetworkStructure: Comparable {
  /// An order for lanes: that of their texts' lengths.
  static func < (first: NetworkStructure, second: NetworkStructure) -> Bool {
    first.chunks < second.chunks
  }
}

extension NetworkStructure: CustomStringConvertible {
  var description: String { "\(chunks) chunks" }
}
