internal import FlowEngine
internal import FlowGraph
internal import FlowText

/// What a text encoder makes of a prompt.
final class Conditioning: Sendable {
  /// The hidden states, `[tokens, width]`.
  let hidden: [Float]
  /// The end of the prompt that did not fit, if any.
  let cut: String?

  init(hidden: [Float], cut: String?) {
    self.hidden = hidden
    self.cut = cut
  }
}

/// Encodes prompts, each once.
final class Conditioner {
  private let session: Session
  private let tokenizer: CLIPTokenizer
  private let tokenCount: Int
  private var known: [String: Conditioning] = [:]
  private var order: [String] = []

  /// The number of prompts that are kept.
  private static let capacity = 256

  init(
    _ checkpoint: Checkpoint, skippedLayers: Int, configuration: EngineConfiguration,
    cache: EngineCache?
  ) throws {
    let encoder = CLIPText(configuration: checkpoint.text, store: checkpoint.textWeights)
    let graph = try encoder.graph(rows: 1, skippedLayers: skippedLayers)
    session = try Session(
      ONNXModel(graph, weightsIdentity: checkpoint.textWeights.identity),
      configuration: configuration, cache: cache)
    tokenizer = checkpoint.tokenizer
    tokenCount = checkpoint.text.tokenCount
  }

  /// How its engine came to be.
  var report: EngineReport {
    EngineReport(name: session.name, origin: session.origin, preparation: session.preparation)
  }

  func conditioning(of prompt: String) throws -> Conditioning {
    if let known = known[prompt] { return known }
    let tokenized = tokenizer.encode(prompt, length: tokenCount)
    session.write(input: 0, as: Int64.self) { tokens in
      for index in tokens.indices { tokens[index] = Int64(tokenized.tokens[index]) }
    }
    session.write(input: 1, as: Int64.self) { $0[0] = Int64(tokenized.endIndex) }
    try session.run()
    let hidden = session.read(output: 0, as: Float.self) { span in span.indices.map { span[$0] } }
    let conditioning = Conditioning(hidden: hidden, cut: tokenized.cut)
    if order.count == Self.capacity { known[order.removeFirst()] = nil }
    known[prompt] = conditioning
    order.append(prompt)
    return conditioning
  }
}
