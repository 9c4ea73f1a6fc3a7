internal import FlowCore
internal import FlowGraph

/// How the engines of a model hold the matrices of its network and of its text encoders.
///
/// Arithmetic stays in floats; what is rounded are the weights. Large transformers take four bytes a
/// weight in floats, one in int8 and about half of one in int4.
public struct WeightForms: Equatable, Sendable {
  /// How matrices are held.
  public enum Form: String, CaseIterable, Sendable {
    /// The first of floats, stored, int8 and int4 that fits into the memory that is free.
    case automatic = "auto"
    /// As floats, which round nothing.
    case floats = "f32"
    /// What a file holds in few bits (GGUF, ComfyUI's int8) stays so; all else as floats.
    case stored
    /// As 8-bit whole numbers with a scale for each output.
    case int8
    /// As 4-bit whole numbers with a scale for 128 weights.
    case int4

    /// The compression of the form; nil for floats, and where it is yet to be chosen.
    var compression: WeightCompression? {
      switch self {
      case .automatic, .floats: nil
      case .stored: .stored
      case .int8: .int8
      case .int4: .int4
      }
    }
  }

  /// The network's.
  public var network: Form
  /// The text encoders'.
  public var texts: Form

  /// Creates forms.
  ///
  /// - Parameters:
  ///   - network: the network's.
  ///   - texts: the text encoders'.
  public init(network: Form = .automatic, texts: Form = .automatic) {
    (self.network, self.texts) = (network, texts)
  }
}

extension WeightForms: LosslessStringConvertible {
  /// How forms are written, for help and errors.
  public static let spellings =
    "auto, f32, stored, int8 or int4, or of each part, as in network=int4,text=int8"

  /// Reads `int8`, or `network=int4,text=int8`.
  public init?(_ description: String) {
    self.init()
    if let form = Form(rawValue: description) {
      (network, texts) = (form, form)
      return
    }
    for part in description.split(separator: ",", omittingEmptySubsequences: false) {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, let form = Form(rawValue: String(pair[1])) else { return nil }
      switch pair[0] {
      case "network": network = form
      case "text": texts = form
      default: return nil
      }
    }
  }

  /// As it is written.
  public var description: String {
    network == texts
      ? network.rawValue : "network=\(network.rawValue),text=\(texts.rawValue)"
  }
}

extension Checkpoint {
  /// The model with its matrices held in some forms.
  ///
  /// - Parameters:
  ///   - forms: how; where that is automatic, a model of less than 4 GB in floats stays so, and so
  ///     does one that computes layers in 8 bits.
  ///   - available: the free memory in bytes, where the system tells.
  public func holdingWeights(_ forms: WeightForms, available: Int?) -> Checkpoint {
    let chosen = chosen(forms, available: available)
    var checkpoint = self
    for component in components {
      let form: WeightForms.Form =
        switch component.role {
        case .network: chosen.network
        case .textEncoder: chosen.texts
        case .autoencoder: .floats
        }
      guard let compression = form.compression else { continue }
      checkpoint.setWeights(component.weights.compressed(to: compression), of: component.role)
    }
    return checkpoint
  }

  /// How its engines hold matrices.
  public var weightForms: WeightForms {
    func form(_ stores: [WeightStore]) -> WeightForms.Form {
      stores.lazy.compactMap(\.compressionForm).first.flatMap {
        WeightForms.Form(rawValue: $0.rawValue)
      } ?? .floats
    }
    return WeightForms(
      network: form([networkWeights]),
      texts: form(textEncoders.indices.map { weights(of: .textEncoder($0)) }))
  }

  /// What is yet to be chosen, chosen: compiling takes about two and a half times what an engine
  /// holds, and text encoders are released before the network is compiled where both do not fit.
  private func chosen(_ forms: WeightForms, available: Int?) -> WeightForms {
    var chosen = forms
    func choice(_ stores: [WeightStore]) -> WeightForms.Form {
      let floats = stores.reduce(0) { $0 + $1.engineByteCount(in: nil) }
      guard let available, floats >= 4 << 30, stores.allSatisfy({ $0.quantization == nil }) else {
        return .floats
      }
      let fitting: [(WeightForms.Form, WeightCompression?)] = [
        (.floats, nil), (.stored, .stored), (.int8, .int8), (.int4, .int4),
      ]
      return fitting.first { _, compression in
        let held = stores.map { $0.engineByteCount(in: compression) }.max() ?? 0
        return Double(held) * 2.5 < 0.8 * Double(available)
      }?.0 ?? .int4
    }
    if chosen.network == .automatic { chosen.network = choice([networkWeights]) }
    if chosen.texts == .automatic {
      chosen.texts = choice(textEncoders.indices.map { weights(of: .textEncoder($0)) })
    }
    return chosen
  }
}
