internal import FlowCore

/// How engines hold the matrices of fully connected layers: in few bits instead of float32, at a
/// quarter or an eighth of its memory, while all arithmetic stays in floats.
public enum WeightCompression: String, Sendable, CaseIterable {
  /// Matrices that their file holds in few bits (GGUF, ComfyUI's int8) stay as they are, without
  /// further rounding, and so do embeddings in 8 bits; all others stay floats.
  case stored
  /// 8-bit whole numbers, symmetric, with one scale for each output.
  case int8
  /// 4-bit whole numbers, symmetric, with one scale for 128 weights of an output, or for 64 or 32
  /// where 128 do not divide its width; where none does, the layer stays in floats.
  case int4
}

extension WeightStore {
  /// What of a store is compressed.
  struct Compression: Hashable, Sendable {
    let form: WeightCompression
    /// The fewest weights of a matrix that is compressed.
    let leastElementCount: Int

    /// What it adds to the identity of a file; alone it would tell no weights from others.
    var identity: String { "compressed to \(form) from \(leastElementCount) on" }
  }
}

extension WeightScope {
  /// How the layer's matrix is held in few bits, if it is.
  ///
  /// Adapters of low rank are computed beside the matrix; a layer with one that needs the sum itself
  /// (DoRA) stays in floats.
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
  /// How the layer's table is held in few bits for look-ups, if it is: as its file has it, in 8 bits;
  /// engines look nothing up in 4.
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
