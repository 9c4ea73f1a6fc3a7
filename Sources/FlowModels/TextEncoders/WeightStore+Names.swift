internal import FlowGraph

extension WeightStore {
  /// The weights without a prefix that some files put before every name.
  func withoutPrefix(_ prefix: String) -> WeightStore {
    renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }
  }

  /// The weights of a network that is known whole: those of its layers, and no other.
  ///
  /// - Parameters:
  ///   - names: the names of all weights that it has.
  ///   - isIgnored: whether a name is of a part that is not read.
  ///   - network: the network, for error messages.
  /// - Throws: `weightMissing` for a weight that is not there, `weightsInvalid` for one that nothing
  ///   reads.
  func restricted(
    to names: Set<String>, ignoring isIgnored: (String) -> Bool, of network: String
  ) throws(GraphError) -> WeightStore {
    if let missing = names.subtracting(weights.keys).min() {
      throw GraphError(
        code: .weightMissing,
        message: "the weights have no '\(missing)'; the configuration and the weights are not of "
          + "one \(network), or the file is not whole")
    }
    if let unknown = weights.keys.filter({ !names.contains($0) && !isIgnored($0) }).min() {
      throw GraphError(
        code: .weightsInvalid,
        message: "nothing in \(network) reads '\(unknown)'; the configuration and the weights are "
          + "not of one model")
    }
    return renamed { names.contains($0) ? $0 : nil }
  }
}
