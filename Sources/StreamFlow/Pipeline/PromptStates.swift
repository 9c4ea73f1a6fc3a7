internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The text encoders of a model, which read each prompt once.
final class PromptStates {
  private typealias Key = SharedTexts.Key

  private let checkpoint: Checkpoint
  /// The number of skipped layers of requests that do not set one.
  private let skippedLayers: Int
  private let provider: EngineProvider
  /// Whether the text encoders are in memory only while they encode.
  let isReleased: Bool
  private var encoders: [PromptEncoder] = []
  /// The encoders of the last number of skipped layers that is not ``skippedLayers``.
  private var others: (skippedLayers: Int, encoders: [PromptEncoder])?
  /// When ``others`` were used last.
  private var othersUse = ContinuousClock.now
  /// How long ``others`` stay in memory without use, at least: they are released by later work.
  private static let othersTime = Duration.seconds(30)
  private var known = ByteBoundedCache<Key, TextStates>(capacity: 128 << 20)
  /// Prompts that were encoded in advance, until the next are: before the text encoders were
  /// released, or by encoders of another number of skipped layers.
  private var prepared: [Key: Result<TextStates, any Error>] = [:]
  /// Prompts whose text encoders could not be loaded, until the next are prepared.
  private var failures: [Key: any Error] = [:]

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

  // MARK: - Text encoders that are not in memory

  /// Encodes the new prompts of some requests whose text encoders are not in memory: all if they are
  /// released after each use, else those that skip another number of layers.
  ///
  /// - Throws: `CancellationError`; every other failure is an error of
  ///   ``states(of:blend:_:)`` for the prompts that it concerns.
  func prepare(
    for requests: [GenerationRequest], isolation: isolated (any Actor)? = #isolation
  ) async throws {
    let keys = Set(requests.flatMap(keys(of:))).filter { key in
      !isLoaded(key) && !isKnown(key)
        && provider.texts?.claim([key], by: ObjectIdentifier(self)) ?? true
    }
    failures = [:]
    guard !keys.isEmpty else { return }
    defer { releaseClaims() }
    prepared = [:]
    // Those that are loaded come first.
    let loaded = others?.skippedLayers
    let groups = Dictionary(grouping: keys, by: \.skippedLayers)
      .sorted { ($0.key == loaded ? -1 : $0.key) < ($1.key == loaded ? -1 : $1.key) }
    for (skipped, keys) in groups {
      do {
        if others?.skippedLayers != skipped {
          // First, so that both are not in memory at once.
          others = nil
          others = (
            skipped,
            try await Self.load(checkpoint, skippedLayers: skipped, provider: provider)
          )
        }
        othersUse = .now
        for key in keys { prepared[key] = Result { try states(of: key) } }
      } catch let error as CancellationError { throw error } catch {
        // Images that skip no layers, or others, do not fail with these.
        for key in keys { failures[key] = error }
      }
    }
    guard isReleased else { return }
    others = nil
    // A large engine that is not persisted yet would be held for that.
    await provider.store.persist()
  }

  /// Releases encoders that were not used for a while.
  func releaseUnused() {
    if others != nil, .now - othersUse > Self.othersTime { others = nil }
  }

  /// Whether requests may have to wait for ``prepare(for:isolation:)``.
  func mustPrepare(for requests: some Sequence<GenerationRequest>) -> Bool {
    isReleased || requests.contains { skippedLayers(of: $0) != skippedLayers }
  }

  /// Whether the prompts of a request can be encoded now.
  func isReady(for request: GenerationRequest) -> Bool {
    keys(of: request).allSatisfy { isLoaded($0) || isKnown($0) || failures[$0] != nil }
  }

  /// Whether the text encoders of a prompt stay in memory.
  private func isLoaded(_ key: Key) -> Bool { !isReleased && key.skippedLayers == skippedLayers }

  private func skippedLayers(of request: GenerationRequest) -> Int {
    request.skippedTextLayers ?? skippedLayers
  }

  private func isKnown(_ key: Key) -> Bool {
    prepared[key] != nil || known[key] != nil || provider.texts?.states(of: key) != nil
  }

  // MARK: - Text encoders of several devices

  /// Claims the prompts of a request, which are encoded next; false where another device encodes one
  /// of them just now.
  func claim(_ request: GenerationRequest) -> Bool {
    guard let texts = provider.texts else { return true }
    return texts.claim(
      keys(of: request).filter { isLoaded($0) && known[$0] == nil }, by: ObjectIdentifier(self))
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
    request.encodedPrompts(family).map { key(of: $0, request) }
  }

  private func key(of prompt: String, _ request: GenerationRequest) -> Key {
    Key(
      prompt: prompt, syntax: request.promptSyntax, skippedLayers: skippedLayers(of: request))
  }

  // MARK: - States

  /// The states of a text of a request (``ModelFamily/message(for:)``), with prompts blended in.
  ///
  /// - Precondition: ``isReady(for:)``.
  func states(
    of prompt: String, blend: PromptBlend?, _ request: GenerationRequest
  ) throws -> TextStates {
    let own = try states(of: key(of: prompt, request))
    guard let blend else { return own }
    try blend.check()
    var (mixed, weight) = (own, max(blend.ownWeight, 0))
    for part in blend.parts where part.weight > 0 {
      weight += part.weight
      let other = try states(of: key(of: family.message(for: part.prompt), request))
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

  private func states(of key: Key) throws -> TextStates {
    if let states = try prepared[key]?.get() ?? known[key] ?? provider.texts?.states(of: key) {
      return states
    }
    if let failure = failures[key] { throw failure }
    var encoders = encoders
    if !isLoaded(key) {
      guard let others, others.skippedLayers == key.skippedLayers else {
        throw ModelError(
          code: .requestInvalid,
          message: "the prompt is not encoded any more with clip skip of \(key.skippedLayers); "
            + "repeat the request")
      }
      encoders = others.encoders
    }
    let text = checkpoint.encodedText(of: key.prompt, syntax: key.syntax)
    let states = try family.states(of: encoders.map { try $0.encode(text, syntax: key.syntax) })
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
    var prompts = [prompt] + (blend?.parts.map(\.prompt) ?? [])
    if let editing, editing.method.readsSourcePrompt { prompts.append(editing.sourcePrompt) }
    var texts = prompts.map(family.message)
    // A missing negative prompt may be zeros instead of an encoded empty text.
    if readsUnconditional(readsScale: family.readsGuidanceScale),
      !(family.zeroesEmptyPrompt && negativePrompt.isEmpty)
    {
      texts.append(negativePrompt)
    }
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
