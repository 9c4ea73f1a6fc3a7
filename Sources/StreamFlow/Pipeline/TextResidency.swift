internal import FlowGraph
internal import FlowModels

/// Whether a model's text encoders stay in memory beside its network.
///
/// The text encoders of large models (Qwen3, T5) are as large as the network and read each prompt
/// once.
public enum TextResidency: String, CaseIterable, Sendable {
  /// Released if memory cannot hold both, else kept.
  case automatic
  /// Kept, so that a new prompt costs one run of the text encoders.
  case kept
  /// Released after prompts were encoded, and loaded again for new ones.
  case released

  /// Text encoders smaller than this number of bytes are kept: loading them costs more than they
  /// take.
  private static let smallestReleased = 1 << 30

  /// Whether the text encoders of a model are released.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - network: the peak memory of the network's engines, in bytes.
  ///   - available: the free memory in bytes, if the system states it.
  func isReleased(_ checkpoint: Checkpoint, besideNetworkOf network: Int, available: Int?) -> Bool {
    switch self {
    case .kept: return false
    case .released: return true
    case .automatic:
      let texts = checkpoint.textByteCount
      guard texts >= Self.smallestReleased, let available else { return false }
      return texts.addingReportingOverflow(network).partialValue > available / 10 * 9
    }
  }
}

extension Checkpoint {
  /// The estimated bytes of the engines of its text encoders.
  var textByteCount: Int {
    textEncoders.indices.reduce(0) { sum, index in
      let store = weights(of: .textEncoder(index))
      return sum + store.engineByteCount(in: store.compressionForm)
    }
  }
}
