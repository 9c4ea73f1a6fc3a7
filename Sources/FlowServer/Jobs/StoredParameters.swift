internal import FlowCore
internal import FlowModels
internal import StreamFlow

// The parameters of stored requests, under their names in the API.

extension Guidance.Kind: Codable {}
extension Solver: Codable {}
extension GaussianNoise.Source: Codable {}
extension PromptSyntax: Codable {}
extension FlowMatchingSchedule.Spacing: Codable {}
extension ImageFit.Kind: Codable {}

extension ScheduleChoice: Codable {
  /// Parses the command-line notation.
  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let choice = ScheduleChoice(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "unknown schedule '\(text)'")
    }
    self = choice
  }

  /// Writes the command-line notation.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension PromptBlend: Codable {
  private enum CodingKeys: String, CodingKey { case kind, parts }

  private struct StoredPart: Codable {
    let prompt: String
    let weight: Float
  }

  /// Reads a kind and parts.
  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    guard let kind = Kind(rawValue: try container.decode(String.self, forKey: .kind)) else {
      throw DecodingError.dataCorruptedError(
        forKey: .kind, in: container, debugDescription: "unknown kind of blend")
    }
    let parts = try container.decode([StoredPart].self, forKey: .parts)
    self.init(parts.map { Part(prompt: $0.prompt, weight: $0.weight) }, kind: kind)
  }

  /// Writes the kind and the parts.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind.rawValue, forKey: .kind)
    try container.encode(
      parts.map { StoredPart(prompt: $0.prompt, weight: $0.weight) }, forKey: .parts)
  }
}

extension SeedBlend: Codable {
  private enum CodingKeys: String, CodingKey { case seed, fraction }

  /// Reads a seed and a fraction.
  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      seed: try container.decode(UInt64.self, forKey: .seed),
      fraction: try container.decode(Float.self, forKey: .fraction))
  }

  /// Writes the seed and the fraction.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(seed, forKey: .seed)
    try container.encode(fraction, forKey: .fraction)
  }
}
