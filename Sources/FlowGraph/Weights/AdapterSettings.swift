internal import Foundation

/// Alpha and rank in PEFT's settings: `lora_adapter_metadata` in a file's metadata, as written by
/// diffusers with the network's name before each key, or `adapter_config.json` beside PEFT's own
/// `adapter_model.safetensors`.
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

  /// Reads the settings of a file; empty if the file has none.
  init(metadata: [String: String], path: String) throws(GraphError) {
    func decoded(_ data: Data, _ problem: String) throws(GraphError) -> [String: Setting] {
      do { return try JSONDecoder().decode([String: Setting].self, from: data) } catch {
        throw GraphError(code: .weightsInvalid, message: "\(problem); fetch it again")
      }
    }
    let place = URL(filePath: path)
    let beside = place.deletingLastPathComponent().appending(path: "adapter_config.json")
    if let text = metadata["lora_adapter_metadata"] {
      settings = try decoded(
        Data(text.utf8),
        "'\(path)' names its settings 'lora_adapter_metadata', which are not a JSON object")
    } else if place.lastPathComponent == "adapter_model.safetensors",
      let data = FileManager.default.contents(atPath: beside.path)
    {
      if let pointer = ForeignFile.pointer(data) {
        throw GraphError(code: .weightsInvalid, message: "'\(beside.path)' \(pointer.words)")
      }
      settings = try decoded(data, "'\(beside.path)' is not a JSON object")
    } else {
      settings = [:]
    }
  }

  /// The factor of a layer's product, or nil if the settings do not specify it.
  func strength(
    of layer: String, component: LoRA.Component, rank: Int
  ) throws(GraphError) -> Float? {
    for prefix in component.folders.map({ "\($0)." }) + [""] {
      guard case .number(var alpha)? = settings["\(prefix)lora_alpha"] else { continue }
      if case .numbers(let patterns)? = settings["\(prefix)alpha_pattern"] {
        alpha = try Self.match(layer, in: patterns) ?? alpha
      }
      if case .bool(true)? = settings["\(prefix)use_rslora"] {
        return Float(alpha / Double(rank).squareRoot())
      }
      return Float(alpha / Double(rank))
    }
    return nil
  }

  /// PEFT's rule: a pattern is a regular expression for a whole name or its last components.
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
