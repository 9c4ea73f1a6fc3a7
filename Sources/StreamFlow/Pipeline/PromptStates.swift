internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The text encoders of a model, which read each prompt once.
final class PromptStates {
  private typealias Key = SharedTexts.Key

  private let checkpoint: Checkpoint
  private let skippedLayers: Int
  private let provider: EngineProvider
  /// Whether the text encoders are in memory only while they encode.
  let isReleased: Bool
  private var encoders: [PromptEncoder] = []
  private var known = ByteBoundedCache<Key, TextStates>(capacity: 128 << 20)
  /// Prompts that were encoded before the text encoders were released, until the next are.
  private var prepared: [Key: Result<TextStates, any Error>] = [:]

  private var family: any ModelFamily { checkpoint.family }

  private init(
    _ checkpoint: Checkpoint, skippedLayers: Int, provider: EngineProvider, isReleased: Bool
  ) {
    self.checkpoint = checkpoint
    self.skippedLayers = skippedLayers
    self.provider = provider
    self.isReleased = isReleased
  }

  /// Makes the programs of a checkpoint's text encoders, if they are kept in memory.
  static func make(
    _ checkpoint: Checkpoint, skippedLayers: Int, isReleased: Bool = false,
    provider: EngineProvider
  ) async throws -> sending PromptStates {
    let encoders =
      isReleased
      ? [] : try await load(checkpoint, skippedLayers: skippedLayers, provider: provider)
    let states = PromptStates(
      checkpoint, skippedLayers: skippedLayers, provider: provider, isReleased: isReleased)
    states.encoders = encoders
    return states
  }

  private static func load(
    _ checkpoint: Checkpoint, skippedLayers: Int, provider: EngineProvider
  ) async throws -> sending [PromptEncoder] {
    var encoders: [PromptEncoder] = []
    for (index, encoding) in checkpoint.textEncoders.enumerated() {
      let weights = checkpoint.weights(of: .textEncoder(index))
      let module = GraphModule(
        try encoding.graph(skippedLayers: skippedLayers, weights: weights.root),
        weightsIdentity: weights.identity)
      encoders.append(
        PromptEncoder(
          encoding, vocabularyCount: try encoding.vocabularyCount(weights: weights.root),
          program: try await provider.program(for: module)))
    }
    return encoders
  }

  // MARK: - Released text encoders

  /// Encodes the new prompts of some requests, and releases the text encoders again; does nothing
  /// if they are kept in memory.
  ///
  /// - Throws: an error of a graph or an engine; a prompt that cannot be encoded is an error of
  ///   ``states(of:syntax:blend:)``.
  func prepare(
    for requests: [GenerationRequest], isolation: isolated (any Actor)? = #isolation
  ) async throws {
    guard isReleased else { return }
    let keys = Set(requests.flatMap(keys(of:))).filter { key in
      !isKnown(key) && provider.texts?.claim([key], by: ObjectIdentifier(self)) ?? true
    }
    guard !keys.isEmpty else { return }
    defer { releaseClaims() }
    encoders = try await Self.load(
      checkpoint, skippedLayers: skippedLayers, provider: provider)
    prepared = [:]
    for key in keys {
      prepared[key] = Result { try states(of: key.prompt, syntax: key.syntax) }
    }
    encoders = []
    // A large engine that is not persisted yet would be held for that.
    await provider.store.persist()
  }

  /// Whether the prompts of a request can be encoded now.
  func isReady(for request: GenerationRequest) -> Bool {
    !isReleased || keys(of: request).allSatisfy(isKnown)
  }

  private func isKnown(_ key: Key) -> Bool {
    prepared[key] != nil || known[key] != nil || provider.texts?.states(of: key) != nil
  }

  // MARK: - Text encoders of several devices

  /// Claims the prompts of a request, which are encoded next; false where another device encodes one
  /// of them just now.
  func claim(_ request: GenerationRequest) -> Bool {
    guard let texts = provider.texts, !isReleased else { return true }
    return texts.claim(keys(of: request).filter { known[$0] == nil }, by: ObjectIdentifier(self))
  }

  /// Gives all claims up, once what was claimed is encoded.
  func releaseClaims() { provider.texts?.releaseClaims(of: ObjectIdentifier(self)) }

  /// Waits for other devices that encode prompts of a request.
  func waitForOthers(
    encoding request: GenerationRequest, isolation: isolated (any Actor)? = #isolation
  ) async {
    guard let texts = provider.texts else { return }
    await texts.wait(
      for: keys(of: request).filter { !isKnown($0) }, besides: ObjectIdentifier(self))
  }

  private func keys(of request: GenerationRequest) -> [Key] {
    request.encodedPrompts(family)
      .map { Key(prompt: $0, syntax: request.promptSyntax) }
  }

  // MARK: - States

  /// The states of a prompt, with others blended in.
  func states(
    of prompt: String, syntax: PromptSyntax, blend: PromptBlend?
  ) throws -> TextStates {
    let own = try states(of: prompt, syntax: syntax)
    guard let blend else { return own }
    try blend.check()
    var (mixed, weight) = (own, max(blend.ownWeight, 0))
    for part in blend.parts where part.weight > 0 {
      weight += part.weight
      let other = try states(of: part.prompt, syntax: syntax)
      let layout = family.conditioningLayout
      guard layout == .crossAttention || other.chunkCount == mixed.chunkCount else {
        throw ModelError(
          code: .requestInvalid,
          message: "the prompts of a blend have \(mixed.chunkCount) and \(other.chunkCount) chunks "
            + "of tokens, and this model needs equal numbers; use prompts of similar length")
      }
      mixed = mixed.mixed(with: other, fraction: part.weight / weight, kind: blend.kind)
    }
    return mixed
  }

  private func states(of prompt: String, syntax: PromptSyntax) throws -> TextStates {
    let key = Key(prompt: prompt, syntax: syntax)
    if let states = try prepared[key]?.get() ?? known[key] ?? provider.texts?.states(of: key) {
      return states
    }
    precondition(!encoders.isEmpty, "prompts are prepared for where text encoders are released")
    let text = checkpoint.encodedText(of: prompt, syntax: syntax)
    let states = try family.states(of: encoders.map { try $0.encode(text, syntax: syntax) })
    known.insert(states, for: key, byteCount: 4 * states.hidden.count)
    provider.texts?.add(states, for: key)
    return states
  }
}

extension GenerationRequest {
  /// The texts that the text encoders read for it.
  ///
  /// - Parameter family: the model's family.
  fileprivate func encodedPrompts(_ family: any ModelFamily) -> [String] {
    var texts = [prompt] + (blend?.parts.map(\.prompt) ?? [])
    // A missing negative prompt may be zeros instead of an encoded empty text.
    if readsUnconditional(readsScale: family.readsGuidanceScale),
      !(family.zeroesEmptyPrompt && negativePrompt.isEmpty)
    {
      texts.append(negativePrompt)
    }
    if let editing, editing.method.readsSourcePrompt { texts.append(editing.sourcePrompt) }
    return texts
  }
}

extension TextStates {
  /// Blends these states with others token by token; texts of different length are repeated as a
  /// whole.
  func mixed(
    with other: TextStates, fraction: Float, kind: PromptBlend.Kind
  ) -> TextStates {
    let chunks = ConditioningLayout.crossAttention.common(chunkCount, other.chunkCount)
    func repeated(_ states: TextStates) -> [Float] {
      (0..<chunks / states.chunkCount).flatMap { _ in states.hidden }
    }
    return TextStates(
      hidden: Self.mix(repeated(self), repeated(other), fraction, kind, width: width),
      pooled: Self.mix(pooled, other.pooled, fraction, kind, width: pooled.count),
      chunkCount: chunks, width: width, tokenCount: max(tokenCount, other.tokenCount))
  }

  private static func mix(
    _ one: [Float], _ other: [Float], _ fraction: Float, _ kind: PromptBlend.Kind, width: Int
  ) -> [Float] {
    guard kind == .spherical, width > 0 else {
      return zip(one, other).map { (1 - fraction) * $0 + fraction * $1 }
    }
    return stride(from: 0, to: one.count, by: width).flatMap { start in
      let (left, right) = (one[start..<start + width], other[start..<start + width])
      let arc = ArcMix(from: left.span, to: right.span, fraction: Double(fraction))
      return zip(left, right).map { arc($0, $1) }
    }
  }
}

/// The most recent values, up to a number of bytes and a number of values; the oldest is evicted
/// first.
///
/// A value above the number of bytes is not kept.
struct ByteBoundedCache<Key: Hashable, Value> {
  private let capacity: Int
  private let countLimit: Int
  private var values: [Key: (value: Value, byteCount: Int)] = [:]
  private var order: [Key] = []
  private var byteCount = 0

  /// - Parameters:
  ///   - capacity: the maximum number of bytes.
  ///   - countLimit: the maximum number of values, however small.
  init(capacity: Int, countLimit: Int = 128) {
    self.capacity = capacity
    self.countLimit = countLimit
  }

  /// The number of values.
  var count: Int { values.count }

  subscript(key: Key) -> Value? { values[key]?.value }

  mutating func insert(_ value: Value, for key: Key, byteCount: Int) {
    // A value that is larger than all of the cache is not worth the others, nor its memory.
    guard byteCount <= capacity else { return }
    self.byteCount += byteCount
    while self.byteCount > capacity || order.count >= countLimit, !order.isEmpty {
      self.byteCount -= values.removeValue(forKey: order.removeFirst())?.byteCount ?? 0
    }
    values[key] = (value, byteCount)
    order.append(key)
  }
}
