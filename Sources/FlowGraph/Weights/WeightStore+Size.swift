internal import FlowCore

extension WeightStore {
  /// How engines hold the matrices of fully connected layers; nil for floats.
  public var compressionForm: WeightCompression? { compression?.form }

  /// The bytes, about, that an engine which computes in float32 holds of these weights.
  ///
  /// - Parameter form: how matrices are held; nil for floats.
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

  /// Whether a matrix is looked up and not multiplied, and so stays floats.
  private static func isTable(_ name: String) -> Bool {
    name.contains("embed_tokens") || name.contains("token_embedding") || name == "shared.weight"
      || name.contains("position_embedding") || name.contains("relative_attention_bias")
  }
}
