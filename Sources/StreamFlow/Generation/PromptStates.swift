internal import FlowCore
internal import FlowGraph
internal import FlowModels

/// The text encoders of a model, which see each prompt once.
final class PromptStates {
  private struct Key: Hashable {
    let prompt: String
    let syntax: PromptSyntax
  }

  private let encoders: [PromptEncoder]
  private let family: any ModelFamily
  private var known = ByteBoundedCache<Key, TextStates>(capacity: 128 << 20)

  private init(_ checkpoint: Checkpoint, _ encoders: [PromptEncoder]) {
    self.encoders = encoders
    family = checkpoint.family
  }

  /// Makes the programs of a checkpoint's text encoders.
  static func make(
    _ checkpoint: Checkpoint, skippedLayers: Int, provider: EngineProvider
  ) async throws -> sending PromptStates {
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
    return PromptStates(checkpoint, encoders)
  }

  /// The states of a prompt with others mixed in.
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
          message: "the prompts of a blend take \(mixed.chunkCount) and \(other.chunkCount) chunks "
            + "of tokens, which must be as many for this model; make them of like length")
      }
      mixed = mixed.mixed(with: other, fraction: part.weight / weight, kind: blend.kind)
    }
    return mixed
  }

  private func states(of prompt: String, syntax: PromptSyntax) throws -> TextStates {
    let key = Key(prompt: prompt, syntax: syntax)
    if let states = known[key] { return states }
    let states = try family.states(of: encoders.map { try $0.encode(prompt, syntax: syntax) })
    known.insert(states, for: key, byteCount: 4 * states.hidden.count)
    return states
  }
}

extension TextStates {
  /// These and others, token by token; of texts of different length each is repeated as a whole.
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
      chunkCount: chunks, width: width)
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

/// What was made last, up to so many bytes and so many values; the oldest goes first.
struct ByteBoundedCache<Key: Hashable, Value> {
  private let capacity: Int
  private let countLimit: Int
  private var values: [Key: (value: Value, byteCount: Int)] = [:]
  private var order: [Key] = []
  private var byteCount = 0

  /// - Parameters:
  ///   - capacity: the most bytes.
  ///   - countLimit: the most values, however small.
  init(capacity: Int, countLimit: Int = 128) {
    self.capacity = capacity
    self.countLimit = countLimit
  }

  /// How many values there are.
  var count: Int { values.count }

  subscript(key: Key) -> Value? { values[key]?.value }

  mutating func insert(_ value: Value, for key: Key, byteCount: Int) {
    self.byteCount += byteCount
    while self.byteCount > capacity || order.count >= countLimit, !order.isEmpty {
      self.byteCount -= values.removeValue(forKey: order.removeFirst())?.byteCount ?? 0
    }
    values[key] = (value, byteCount)
    order.append(key)
  }
}
