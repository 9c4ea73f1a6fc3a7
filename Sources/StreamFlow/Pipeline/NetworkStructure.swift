internal import FlowModels

/// The inputs of a network row besides sample and time; rows of one structure share a program.
struct NetworkStructure: Hashable, Sendable {
  /// The number of chunks of a conditioning's text.
  var chunks = 1
  /// The indices of the attached adapters among the model's, ascending.
  var adapters: [Int] = []
  /// The sizes of the reference images' latents.
  var references: [LatentSize] = []
  /// The layers that some rows leave out, ascending.
  var skippableLayers: [Int] = []
}

extension NetworkStructure: Comparable {
  /// An order for lanes: by adapters, references, layers that are left out, lengths of texts.
  static func < (first: NetworkStructure, second: NetworkStructure) -> Bool {
    if first.adapters != second.adapters {
      return first.adapters.lexicographicallyPrecedes(second.adapters)
    }
    if first.references != second.references {
      return first.referenceExtents.lexicographicallyPrecedes(second.referenceExtents)
    }
    if first.skippableLayers != second.skippableLayers {
      return first.skippableLayers.lexicographicallyPrecedes(second.skippableLayers)
    }
    return first.chunks < second.chunks
  }

  /// The latent pixels of all references.
  var referencePixelCount: Int { references.reduce(0) { $0 + $1.count } }

  private var referenceExtents: [Int] { references.flatMap { [$0.height, $0.width] } }
}

extension NetworkStructure: CustomStringConvertible {
  var description: String {
    var parts = ["\(chunks) chunks"]
    if !adapters.isEmpty { parts.append("adapters \(adapters)") }
    if !references.isEmpty {
      parts.append("references \(references.map { "\($0.width)x\($0.height)" })")
    }
    if !skippableLayers.isEmpty { parts.append("skippable layers \(skippableLayers)") }
    return parts.joined(separator: " and ")
  }
}
