internal import FlowCore
internal import FlowEngine

/// What the network reads of a row besides sample and time.
final class Conditioning: Sendable {
  /// One tensor for each of the network's inputs after sample and timestep.
  let inputs: [[Float]]

  init(inputs: [[Float]]) { self.inputs = inputs }
}

/// Turns prompts into conditionings, each once.
final class Conditioner {
  /// What makes one conditioning differ from another.
  private struct Key: Hashable {
    /// The prompt, or nothing for a text of zeros.
    let prompt: String?
    /// The scale that the network reads, if it does.
    let guidanceScale: Float
  }

  private let encoders: [PromptEncoder]
  private let tokenCount: Int
  private let network: UNetConfiguration
  private let zeroesEmptyPrompt: Bool
  /// Height and width in pixels, as Stable Diffusion XL reads them.
  private let sizes: [Float]
  private var known: [Key: Conditioning] = [:]
  private var order: [Key] = []

  /// The number of conditionings that are kept.
  private static let capacity = 256

  init(
    _ checkpoint: Checkpoint, width: Int, height: Int, skippedLayers: Int,
    configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    // One after another: the peaks of two compilations do not add up.
    encoders = try checkpoint.textEncoders.map { encoder in
      try PromptEncoder(
        encoder, state: checkpoint.hiddenState, skippedLayers: skippedLayers,
        configuration: configuration, cache: cache)
    }
    tokenCount = checkpoint.tokenCount
    network = checkpoint.unet
    zeroesEmptyPrompt = checkpoint.zeroesEmptyPrompt
    sizes = [height, width, 0, 0, height, width].map(Float.init)
  }

  /// How its engines came to be.
  var reports: [EngineReport] { encoders.map(\.report) }

  /// The conditioning of a prompt.
  func prompted(_ request: GenerationRequest) throws -> Conditioning {
    try conditioning(of: request.prompt, request.guidance)
  }

  /// The conditioning of what the picture shows not.
  func unprompted(_ request: GenerationRequest) throws -> Conditioning {
    let isZero = zeroesEmptyPrompt && request.negativePrompt.isEmpty
    return try conditioning(of: isZero ? nil : request.negativePrompt, request.guidance)
  }

  private func conditioning(of prompt: String?, _ guidance: Guidance) throws -> Conditioning {
    var scale: Float = 1
    if network.guidanceWidth != nil, case .distilled(let distilled) = guidance { scale = distilled }
    let key = Key(prompt: prompt, guidanceScale: scale)
    if let known = known[key] { return known }
    let conditioning = try encode(key)
    if order.count == Self.capacity { known[order.removeFirst()] = nil }
    known[key] = conditioning
    order.append(key)
    return conditioning
  }

  private func encode(_ key: Key) throws -> Conditioning {
    let encoded = try key.prompt.map { prompt in try encoders.map { try $0.encode(prompt) } }
    let width = network.conditioningWidth
    var hidden = [Float](repeating: 0, count: tokenCount * width)
    var column = 0
    for (encoder, text) in zip(encoders, encoded ?? []) {
      for token in 0..<tokenCount {
        for index in 0..<encoder.width {
          hidden[token * width + column + index] = text.hidden[token * encoder.width + index]
        }
      }
      column += encoder.width
    }
    var inputs = [hidden]
    if let addition = network.addition {
      let zeros = [Float](repeating: 0, count: addition.pooledWidth)
      inputs += [encoded?.last?.pooled ?? zeros, sizes]
    }
    if network.guidanceWidth != nil { inputs.append([(key.guidanceScale - 1) * 1000]) }
    return Conditioning(inputs: inputs)
  }
}

extension Checkpoint {
  /// Which hidden states of its text encoders the network reads.
  var hiddenState: CLIPText.HiddenState { unet.addition == nil ? .last : .penultimate }
}
