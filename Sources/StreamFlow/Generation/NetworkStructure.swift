/// The inputs of a network row besides sample and time; rows of one structure share a program.
struct NetworkStructure: Hashable, Sendable {
  /// The number of chunks of a conditioning's text.
  var chunks = 1
}

extension NetworkStructure: Comparable {
  /// The order of lanes: by the lengths of their texts.
  static func < (first: NetworkStructure, second: NetworkStructure) -> Bool {
    first.chunks < second.chunks
  }
}

extension NetworkStructure: CustomStringConvertible {
  var description: String { "\(chunks) chunks" }
}
