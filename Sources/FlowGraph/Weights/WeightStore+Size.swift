internal import FlowCore

extension WeightStore {
  /// How engines store the matrices of fully connected layers; nil for floats.
  public var compressionForm: WeightCompression? { compression?.form }

  /// The approximate bytes of these weights in an engine that computes in float32.
  ///
  /// - Parameter form: how matrices are stored; nil for floats.
  public func engineByteCount(in form: WeightCompression?) -> Int {
    weights.reduce(0) { sum, entry in
      let (name, weight) = (entry.key, entry.value)
      let count = weight.shape.elementCount
      let isMatrix = weight.shape.rank == 2 && count >= 1 << 16 && !Self.isTable(name)
      guard let form, isMatrix else { return sum + 4 * count }
      return switch form {
      case .stored: sum + (weight.blocks == nil ? 4 * count : weight.byteCount)
      case .int8: sum + count
      case .int4: sum + count * 9 / 16
      }
    }
  }

  /// Whether a matrix is a look-up table and therefore stays in floats.
  private static func isTable(_ name: String) -> Bool {
    name.contains("embed_tokens") || name.contains("token_embedding") || name == "shared.weight"
      || name.contains("position_embedding") || name.contains("relative_attention_bias")
  }
}
