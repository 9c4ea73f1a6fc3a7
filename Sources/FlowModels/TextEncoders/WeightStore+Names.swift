internal import FlowGraph

extension WeightStore {
  /// The weights without a prefix that some files add to every name.
  func withoutPrefix(_ prefix: String) -> WeightStore {
    renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }
  }

  /// The weights of a network with exactly the given names.
  ///
  /// - Parameters:
  ///   - names: the names of all its weights.
  ///   - isIgnored: whether a name belongs to an unused part.
  ///   - network: the network, for error messages.
  /// - Throws: `weightMissing` for a missing weight, `weightsInvalid` for an unused one.
  func restricted(
    to names: Set<String>, ignoring isIgnored: (String) -> Bool, of network: String
  ) throws(GraphError) -> WeightStore {
    if let missing = names.subtracting(weights.keys).min() {
      throw GraphError(
        code: .weightMissing,
        message: "the weights have no '\(missing)'; the configuration and the weights do not "
          + "match for \(network), or the file is incomplete")
    }
    if let unknown = weights.keys.filter({ !names.contains($0) && !isIgnored($0) }).min() {
      throw GraphError(
        code: .weightsInvalid,
        message: "nothing in \(network) reads '\(unknown)'; the configuration and the weights do "
          + "not match")
    }
    return renamed { names.contains($0) ? $0 : nil }
  }
}
