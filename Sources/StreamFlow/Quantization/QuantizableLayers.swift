internal import FlowCore
internal import FlowGraph
internal import FlowModels

extension Autoencoder {
  /// The layers that can compute in 8 bits: all but the first and the last.
  func quantizableLayers(of graph: Graph) -> Set<String> {
    let names = graph.layers.map(\.name)
    return Set(names).subtracting([names.first, names.last].compactMap { $0 })
  }
}
