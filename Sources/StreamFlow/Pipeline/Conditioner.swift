internal import FlowCore
internal import FlowGraph
internal import FlowModels

/// Turns prompts into conditionings of images of one size, and caches them.
final class Conditioner {
  /// The values that tell conditionings apart.
  private struct Key: Hashable {
    /// The prompt; nil for a text of zeros.
    let prompt: String?
    let blend: PromptBlend?
    let syntax: PromptSyntax
    let skippedLayers: Int?
    /// The guidance scale that the network reads, if it reads one.
    let guidanceScale: Float
    /// Whether the text stays as it is where the network usually reads a table of it.
    let isRaw: Bool
  }

  private let prompts: PromptStates
  private let table: TextTable?
  private let checkpoint: Checkpoint
  private var family: any ModelFamily { checkpoint.family }
  private let size: PixelSize
  private var known = ByteBoundedCache<Key, Conditioning>(capacity: 256 << 20)
  /// Conditionings of blended prompts, of which few are cached: a blend that moves differs with
  /// each frame and seldom returns.
  private var mixed = ByteBoundedCache<Key, Conditioning>(capacity: 256 << 20, countLimit: 8)

  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - prompts: its text encoders.
  ///   - size: the size of the images.
  ///   - table: computes a network input of the text in advance, if there is such an input.
  init(
    _ checkpoint: Checkpoint, prompts: PromptStates, size: PixelSize, table: TextTable?
  ) {
    self.prompts = prompts
    self.table = table
    self.checkpoint = checkpoint
    self.size = size
  }

  /// Releases text encoders that were not used for a while.
  func releaseUnusedTexts() { prompts.releaseUnused() }

  /// Whether prompts of requests must be encoded in advance, since their text encoders are not in
  /// memory.
  func mustPrepareTexts(for requests: some Sequence<GenerationRequest>) -> Bool {
    prompts.mustPrepare(for: requests)
  }

  /// Encodes the prompts of the first requests whose text encoders are not in memory.
  ///
  /// - Throws: `CancellationError`; other failures are those of the requests that they concern.
  func prepareTexts(
    for requests: some Sequence<GenerationRequest>, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await prompts.prepare(for: Array(requests.prefix(Self.preparedCount)))
  }

  /// Whether the prompts of a request can be encoded now.
  func isReady(for request: GenerationRequest) -> Bool { prompts.isReady(for: request) }

  /// Whether the prompts of a request can be encoded now, and by this device: then it is to do so,
  /// and to release its claims.
  func claim(_ request: GenerationRequest) -> Bool {
    prompts.isReady(for: request) && prompts.claim(request)
  }

  /// Gives the claims of ``claim(_:)`` up.
  func releaseClaims() { prompts.releaseClaims() }

  /// Waits for other devices that encode prompts of a request.
  func waitForOthers(
    encoding request: GenerationRequest, isolation: isolated (any Actor)? = #isolation
  ) async { await prompts.waitForOthers(encoding: request) }

  /// The requests whose prompts are encoded each time that the text encoders are loaded.
  static let preparedCount = 16

  /// How conditionings of different lengths share a batch.
  var layout: ConditioningLayout { family.conditioningLayout }

  /// Whether the network itself reads guidance scales.
  var readsGuidanceScale: Bool { family.readsGuidanceScale }

  /// Whether an adapter of a request reads the text itself.
  private func readsConditioning(_ request: GenerationRequest) -> Bool {
    guard !request.controls.isEmpty, let structure = try? checkpoint.structure(of: request) else {
      return false
    }
    return checkpoint.readsConditioning(structure)
  }

  /// The numbers of cached conditionings, of prompts and of blends.
  var keptCounts: (prompts: Int, mixes: Int) { (known.count, mixed.count) }

  /// The conditioning of a prompt.
  func prompted(_ request: GenerationRequest) throws -> Conditioning {
    try conditioning(
      of: family.message(for: request.prompt), blend: request.blend, request,
      scale: request.networkScale)
  }

  /// The conditioning of the prompt that describes the input image of an edit.
  func sourcePrompted(_ request: GenerationRequest, _ editing: Editing) throws -> Conditioning {
    try conditioning(
      of: family.message(for: editing.sourcePrompt), blend: nil, request,
      scale: editing.sourceNetworkScale)
  }

  /// The unconditional conditioning: that of the negative or empty prompt.
  func unprompted(_ request: GenerationRequest) throws -> Conditioning {
    let isZero = family.zeroesEmptyPrompt && request.negativePrompt.isEmpty
    return try conditioning(
      of: isZero ? nil : request.negativePrompt, blend: nil, request, scale: request.networkScale)
  }

  private func conditioning(
    of prompt: String?, blend: PromptBlend?, _ request: GenerationRequest, scale: Float
  ) throws -> Conditioning {
    let key = Key(
      prompt: prompt, blend: blend, syntax: request.promptSyntax,
      skippedLayers: request.skippedTextLayers,
      guidanceScale: family.readsGuidanceScale ? scale : 1,
      isRaw: table != nil && readsConditioning(request))
    if let known = known[key] ?? mixed[key] { return known }
    let conditioning = try encode(key, request)
    let byteCount = 4 * conditioning.inputs[0].elements.count
    if blend == nil {
      known.insert(conditioning, for: key, byteCount: byteCount)
    } else {
      mixed.insert(conditioning, for: key, byteCount: byteCount)
    }
    return conditioning
  }

  private func encode(_ key: Key, _ request: GenerationRequest) throws -> Conditioning {
    let states = try key.prompt.map { prompt in
      try prompts.states(of: prompt, blend: key.blend, request)
    }
    let conditioning = family.conditioning(
      of: states, guidanceScale: key.guidanceScale, size: size)
    guard let table, !key.isRaw else { return conditioning }
    let text = conditioning.inputs[0].elements
    return Conditioning(
      text: Conditioning.Input(table.input, try table(Array(text))),
      timeInputs: conditioning.timeInputs, chunkCount: conditioning.chunkCount)
  }
}
