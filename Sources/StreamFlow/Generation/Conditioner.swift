internal import FlowCore
internal import FlowEngine

/// What the network reads of a row besides sample and time.
final class Conditioning: Sendable {
  /// One tensor for each of the network's inputs after sample and timestep.
  let inputs: [[Float]]
  /// The chunks of the first of them, which is the text.
  let chunkCount: Int

  init(inputs: [[Float]], chunkCount: Int) {
    self.inputs = inputs
    self.chunkCount = chunkCount
  }
}

/// Turns prompts into conditionings, each once.
final class Conditioner {
  /// What makes one conditioning differ from another.
  private struct Key: Hashable {
    /// The prompt, or nothing for a text of zeros.
    let prompt: String?
    let syntax: PromptSyntax
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
  private var keptChunkCount = 0

  /// The number of chunks whose conditionings are kept.
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

  /// Whether an engine is yet to be kept in the cache.
  var hasUnkept: Bool { encoders.contains(where: \.isUnkept) }

  /// Keeps large engines in the cache.
  func keep() {
    for encoder in encoders { encoder.keep() }
  }

  /// The conditioning of a prompt.
  func prompted(_ request: GenerationRequest) throws -> Conditioning {
    try conditioning(of: request.prompt, request)
  }

  /// The conditioning of what the picture shows not.
  func unprompted(_ request: GenerationRequest) throws -> Conditioning {
    let isZero = zeroesEmptyPrompt && request.negativePrompt.isEmpty
    return try conditioning(of: isZero ? nil : request.negativePrompt, request)
  }

  private func conditioning(
    of prompt: String?, _ request: GenerationRequest
  ) throws -> Conditioning {
    var scale: Float = 1
    if network.guidanceWidth != nil, case .distilled(let distilled) = request.guidance {
      scale = distilled
    }
    let key = Key(prompt: prompt, syntax: request.promptSyntax, guidanceScale: scale)
    if let known = known[key] { return known }
    let conditioning = try encode(key)
    keptChunkCount += conditioning.chunkCount
    while keptChunkCount > Self.capacity, !order.isEmpty {
      keptChunkCount -= known.removeValue(forKey: order.removeFirst())?.chunkCount ?? 0
    }
    known[key] = conditioning
    order.append(key)
    return conditioning
  }

  private func encode(_ key: Key) throws -> Conditioning {
    let encoded = try key.prompt.map { prompt in
      try encoders.map { try $0.encode(prompt, syntax: key.syntax) }
    }
    let chunkCount = try PromptEncoder.chunkCount(of: encoded ?? [])
    let tokenCount = chunkCount * tokenCount
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
    return Conditioning(inputs: inputs, chunkCount: chunkCount)
  }
}

extension Checkpoint {
  /// Which hidden states of its text encoders the network reads.
  var hiddenState: CLIPText.HiddenState { unet.addition == nil ? .last : .penultimate }
}
