internal import FlowCore
internal import FlowEngine

/// What the network reads of a row besides sample and time.
final class Conditioning: Sendable {
  /// The text: its hidden states, or what the network's layers make of them.
  let text: [Float]
  /// What the network reads with the time: the pooled text and the sizes, a guidance scale.
  let others: [[Float]]
  /// The chunks of the text.
  let chunkCount: Int

  init(text: [Float], others: [[Float]], chunkCount: Int) {
    self.text = text
    self.others = others
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
  private let table: TextTable?
  private let tokenCount: Int
  private let network: UNetConfiguration
  private let zeroesEmptyPrompt: Bool
  /// Height and width in pixels, as Stable Diffusion XL reads them.
  private let sizes: [Float]
  private var known: [Key: Conditioning] = [:]
  private var order: [Key] = []
  private var keptByteCount = 0

  /// The bytes of texts that are kept.
  private static let capacity = 256 << 20

  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - width: the width of pictures in pixels.
  ///   - height: the height of pictures in pixels.
  ///   - skippedLayers: how many of the encoders' last layers are left out.
  ///   - table: the network whose layers' keys and values are computed here, if they are.
  init(
    _ checkpoint: Checkpoint, width: Int, height: Int, skippedLayers: Int, table: UNet?,
    configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    // One after another: the peaks of two compilations do not add up.
    encoders = try checkpoint.textEncoders.map { encoder in
      try PromptEncoder(
        encoder, state: checkpoint.hiddenState, skippedLayers: skippedLayers,
        configuration: configuration, cache: cache)
    }
    self.table = try table.map { network in
      try TextTable(network, checkpoint, configuration: configuration, cache: cache)
    }
    tokenCount = checkpoint.tokenCount
    network = checkpoint.unet
    zeroesEmptyPrompt = checkpoint.zeroesEmptyPrompt
    sizes = [height, width, 0, 0, height, width].map(Float.init)
  }

  /// How its engines came to be.
  var reports: [EngineReport] { encoders.map(\.report) + (table.map { [$0.report] } ?? []) }

  /// Whether an engine is yet to be kept in the cache.
  var hasUnkept: Bool { encoders.contains(where: \.isUnkept) || table?.isUnkept == true }

  /// Keeps large engines in the cache.
  func keep() {
    for encoder in encoders { encoder.keep() }
    table?.keep()
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
    keptByteCount += 4 * conditioning.text.count
    while keptByteCount > Self.capacity, !order.isEmpty {
      keptByteCount -= 4 * (known.removeValue(forKey: order.removeFirst())?.text.count ?? 0)
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
    var others: [[Float]] = []
    if let addition = network.addition {
      let zeros = [Float](repeating: 0, count: addition.pooledWidth)
      others += [encoded?.last?.pooled ?? zeros, sizes]
    }
    if network.guidanceWidth != nil { others.append([(key.guidanceScale - 1) * 1000]) }
    return Conditioning(
      text: try table?(hidden) ?? hidden, others: others, chunkCount: chunkCount)
  }
}

extension Checkpoint {
  /// Which hidden states of its text encoders the network reads.
  var hiddenState: CLIPText.HiddenState { unet.addition == nil ? .last : .penultimate }
}
