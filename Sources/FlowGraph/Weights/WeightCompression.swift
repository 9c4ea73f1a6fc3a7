internal import FlowCore

/// How engines store the matrices of fully connected layers: with few bits instead of float32, in a
/// quarter or an eighth of the memory, while all arithmetic stays in floats.
public enum WeightCompression: String, Sendable, CaseIterable {
  /// Matrices that their file stores with few bits (GGUF, ComfyUI's int8) stay as they are, without
  /// further rounding, and so do 8-bit embeddings; all others stay floats.
  case stored
  /// int8, symmetric, with one scale for each output.
  case int8
  /// int4, symmetric, with one scale for 128 weights of an output, or for 64 or 32 if 128 does not
  /// divide its width; if none does, the layer stays in floats.
  case int4
}

extension WeightStore {
  /// The compression of a store.
  struct Compression: Hashable, Sendable {
    let form: WeightCompression
    /// The minimum number of weights of a compressed matrix.
    let leastElementCount: Int

    /// The suffix of a file's identity; it does not identify weights on its own.
    var identity: String { "compressed to \(form) from \(leastElementCount) on" }
  }
}

extension WeightScope {
  /// The low-bit representation of the layer's matrix, if it is compressed.
  ///
  /// Low-rank adapters are computed beside the matrix. A layer with an adapter that needs the sum
  /// itself (DoRA) stays in floats.
  var packing: Packing? {
    get throws(GraphError) {
      let weight = try stored("weight")
      guard let compression = store.compression, weight.shape.rank == 2, !weight.isTransposed,
        !weight.areHalvesSwapped,
        weight.hasSeparateRows, weight.shape.elementCount >= compression.leastElementCount,
        weight.isExpanded || weight.type?.isFloatingPoint == true,
        weight.deltas.allSatisfy(\.canStandApart)
      else { return nil }
      switch compression.form {
      case .stored:
        guard !weight.deltas.contains(where: \.isOfModel) else { return nil }
        return weight.blocks.map { .blocks($0) }
          ?? weight.rounding.map { .integers(width: weight.shape[1], $0) }
      case .int8: return .rounded(bits: 8, groupSize: weight.shape[1])
      case .int4:
        let size = [128, 64, 32].first { weight.shape[1].isMultiple(of: $0) }
        return size.map { .rounded(bits: 4, groupSize: $0) }
      }
    }
  }
}

extension WeightScope {
  /// The low-bit representation of the layer's look-up table, if any: the file's own 8 bits.
  ///
  /// Engines cannot look up 4-bit tables.
  var tablePacking: Packing? {
    get throws(GraphError) {
      guard store.compression?.form == .stored, let packing = try packing, packing.bitCount == 8,
        packing.rotatedGroupSize == nil, try stored("weight").deltas.isEmpty
      else { return nil }
      return packing
    }
  }
}

extension WeightDelta {
  /// Whether it can be computed beside a matrix that is not a float32 tensor.
  fileprivate var canStandApart: Bool {
    guard magnitude == nil else { return false }
    if case .tensor = expression { return true }
    return !isOfModel
  }
}
