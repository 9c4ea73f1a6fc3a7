internal import FlowCore
internal import FlowGraph

/// Turns prompts into conditionings of pictures of one size, each once.
final class Conditioner {
  /// What makes one conditioning differ from another.
  private struct Key: Hashable {
    /// The prompt, or nothing for a text of zeros.
    let prompt: String?
    let blend: PromptBlend?
    let syntax: PromptSyntax
    /// The scale that the network reads, if it does.
    let guidanceScale: Float
  }

  private let prompts: PromptStates
  private let table: TextTable?
  private let tokenCount: Int
  private let network: UNetConfiguration
  private let zeroesEmptyPrompt: Bool
  /// Height and width in pixels, as Stable Diffusion XL reads them.
  private let sizes: [Float]
  private var known = ByteBoundedCache<Key, Conditioning>(capacity: 256 << 20)
  /// Those of mixed prompts, of which few are kept: a mix that moves is another with each move, and
  /// seldom comes again.
  private var mixed = ByteBoundedCache<Key, Conditioning>(capacity: 256 << 20, countLimit: 8)

  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - prompts: its text encoders.
  ///   - width: the width of pictures in pixels.
  ///   - height: the height of pictures in pixels.
  ///   - table: what computes the keys and values of the network's layers here, if anything does.
  init(
    _ checkpoint: Checkpoint, prompts: PromptStates, width: Int, height: Int, table: TextTable?
  ) {
    self.prompts = prompts
    self.table = table
    tokenCount = checkpoint.tokenCount
    network = checkpoint.unet
    zeroesEmptyPrompt = checkpoint.zeroesEmptyPrompt
    sizes = [height, width, 0, 0, height, width].map(Float.init)
  }

  /// How many conditionings are kept, of prompts and of mixes.
  var keptCounts: (prompts: Int, mixes: Int) { (known.count, mixed.count) }

  /// The conditioning of a prompt.
  func prompted(_ request: GenerationRequest) throws -> Conditioning {
    try conditioning(of: request.prompt, blend: request.blend, request)
  }

  /// The conditioning of what the picture shows not.
  func unprompted(_ request: GenerationRequest) throws -> Conditioning {
    let isZero = zeroesEmptyPrompt && request.negativePrompt.isEmpty
    return try conditioning(of: isZero ? nil : request.negativePrompt, blend: nil, request)
  }

  private func conditioning(
    of prompt: String?, blend: PromptBlend?, _ request: GenerationRequest
  ) throws -> Conditioning {
    var scale: Float = 1
    if network.guidanceWidth != nil, case .distilled(let distilled) = request.guidance {
      scale = distilled
    }
    let key = Key(
      prompt: prompt, blend: blend, syntax: request.promptSyntax, guidanceScale: scale)
    if let known = known[key] ?? mixed[key] { return known }
    let conditioning = try encode(key)
    let byteCount = 4 * conditioning.inputs[0].elements.count
    if blend == nil {
      known.insert(conditioning, for: key, byteCount: byteCount)
    } else {
      mixed.insert(conditioning, for: key, byteCount: byteCount)
    }
    return conditioning
  }

  private func encode(_ key: Key) throws -> Conditioning {
    let states = try key.prompt.map { prompt in
      try prompts.states(of: prompt, syntax: key.syntax, blend: key.blend)
    }
    let zeros = [Float](repeating: 0, count: tokenCount * network.conditioningWidth)
    let hidden = states?.hidden ?? zeros
    let text = try table.map { Conditioning.Input("texts", try $0(hidden)) }
    var timeInputs: [Conditioning.Input] = []
    if let addition = network.addition {
      let zeros = [Float](repeating: 0, count: addition.pooledWidth)
      timeInputs += [.init("pooled", states?.pooled ?? zeros), .init("sizes", sizes)]
    }
    if network.guidanceWidth != nil {
      timeInputs.append(.init("guidance", [(key.guidanceScale - 1) * 1000]))
    }
    return Conditioning(
      text: text ?? .init("hidden", hidden), timeInputs: timeInputs,
      chunkCount: states?.chunkCount ?? 1)
  }
}

extension Checkpoint {
  /// Which hidden states of its text encoders the network reads.
  var hiddenState: CLIPText.HiddenState { unet.addition == nil ? .last : .penultimate }
}
