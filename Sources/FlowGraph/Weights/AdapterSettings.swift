internal import Foundation

/// What PEFT's settings in a file's metadata say of alpha and rank, as diffusers writes them
/// under `lora_adapter_metadata`: one object, each key behind its network's name.
struct AdapterSettings {
  private enum Setting: Decodable {
    case number(Double)
    case bool(Bool)
    case numbers([String: Double])
    case other

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      self =
        if let bool = try? container.decode(Bool.self) {
          .bool(bool)
        } else if let number = try? container.decode(Double.self) {
          .number(number)
        } else if let numbers = try? container.decode([String: Double].self) {
          .numbers(numbers)
        } else {
          .other
        }
    }
  }

  private let settings: [String: Setting]

  /// Reads the metadata of a file; a file without has no settings.
  init(metadata: [String: String], path: String) throws(GraphError) {
    guard let text = metadata["lora_adapter_metadata"] else {
      settings = [:]
      return
    }
    do {
      settings = try JSONDecoder().decode([String: Setting].self, from: Data(text.utf8))
    } catch {
      throw GraphError(
        code: .weightsInvalid,
        message: "'\(path)' names its settings 'lora_adapter_metadata', which are not a JSON "
          + "object; fetch it again")
    }
  }

  /// What a layer's product is multiplied by, or nothing where nothing is said.
  func strength(
    of layer: String, component: LoRA.Component, rank: Int
  ) throws(GraphError) -> Float? {
    for name in component.folders {
      guard case .number(var alpha)? = settings["\(name).lora_alpha"] else { continue }
      if case .numbers(let patterns)? = settings["\(name).alpha_pattern"] {
        alpha = try Self.match(layer, in: patterns) ?? alpha
      }
      if case .bool(true)? = settings["\(name).use_rslora"] {
        return Float(alpha / Double(rank).squareRoot())
      }
      return Float(alpha / Double(rank))
    }
    return nil
  }

  /// PEFT's rule: a pattern is a regular expression of a whole name or of its last parts.
  private static func match(
    _ layer: String, in patterns: [String: Double]
  ) throws(GraphError) -> Double? {
    for (pattern, value) in patterns.sorted(by: { $0.key < $1.key }) {
      let expression: Regex<AnyRegexOutput>
      do { expression = try Regex("(?:.*\\.)?(?:\(pattern))") } catch {
        throw GraphError(
          code: .weightsInvalid,
          message: "the LoRA's alpha_pattern '\(pattern)' is not a regular expression")
      }
      if (try? expression.wholeMatch(in: layer)) != nil { return value }
    }
    return nil
  }
}
