internal import FlowCore
internal import FlowGraph

/// How a model's engines store the matrices of its network and text encoders.
///
/// Arithmetic stays in floats; only the weights are rounded. Large transformers take four bytes per
/// weight in floats, one in int8 and about half of one in int4.
public struct WeightForms: Equatable, Sendable {
  /// A storage form of matrices.
  public enum Form: String, CaseIterable, Sendable {
    /// The first of floats, stored, int8 and int4 that fits the free memory.
    case automatic = "auto"
    /// float32, without rounding.
    case floats = "f32"
    /// Matrices that their file stores with few bits (GGUF, ComfyUI's int8) stay as they are;
    /// others are floats.
    case stored
    /// int8 with a scale for each output.
    case int8
    /// int4 with a scale for 128 weights.
    case int4

    /// The compression of the form; nil for floats and for automatic.
    var compression: WeightCompression? {
      switch self {
      case .automatic, .floats: nil
      case .stored: .stored
      case .int8: .int8
      case .int4: .int4
      }
    }
  }

  /// The form of the network.
  public var network: Form
  /// The form of the text encoders.
  public var texts: Form

  /// Creates forms.
  ///
  /// - Parameters:
  ///   - network: the form of the network.
  ///   - texts: the form of the text encoders.
  public init(network: Form = .automatic, texts: Form = .automatic) {
    (self.network, self.texts) = (network, texts)
  }
}

extension WeightForms: LosslessStringConvertible {
  /// The notation of forms, for help and errors.
  public static let spellings =
    "auto, f32, stored, int8 or int4, or separately, as in network=int4,text=int8"

  /// Parses `int8`, or `network=int4,text=int8`.
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

  /// The forms in this notation.
  public var description: String {
    network == texts
      ? network.rawValue : "network=\(network.rawValue),text=\(texts.rawValue)"
  }
}

extension Checkpoint {
  /// The model with its matrices stored in the given forms.
  ///
  /// - Parameters:
  ///   - forms: the forms. With automatic, a model of less than 4 GB in floats stays in floats, and
  ///     so does one with int8 layers.
  ///   - available: the free memory in bytes, if known.
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

  /// The forms in which its engines store matrices.
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

  /// Replaces automatic forms: compiling takes about two and a half times the memory of an engine.
  ///
  /// If network and text encoders do not both fit, the encoders are released before the network is
  /// compiled.
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
