/// The inputs of a network row besides sample and time; rows of one structure share a program.
struct NetworkStructure: Hashable, Sendable {
  /// The number of chunks of a conditioning's text.
  var chunks = 1
  /// The indices of the attached adapters among the model's, ascending.
  var adapters: [Int] = []
}

extension NetworkStructure: Comparable {
  /// An order for lanes: by adapters, then by the lengths of their texts.
  static func < (first: NetworkStructure, second: NetworkStructure) -> Bool {
    if first.adapters != second.adapters {
      return first.adapters.lexicographicallyPrecedes(second.adapters)
    }
    return first.chunks < second.chunks
  }
}

extension NetworkStructure: CustomStringConvertible {
  var description: String {
    adapters.isEmpty ? "\(chunks) chunks" : "\(chunks) chunks and adapters \(adapters)"
  }
}
