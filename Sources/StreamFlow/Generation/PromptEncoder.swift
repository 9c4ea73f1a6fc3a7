internal import FlowEngine
internal import FlowGraph
internal import FlowText

/// One text encoder, ready to run, with its tokenizer.
final class PromptEncoder {
  /// What it makes of a prompt.
  struct Encoded {
    /// The hidden states, `[tokens, width]`.
    let hidden: [Float]
    /// The pooled state.
    let pooled: [Float]
  }

  /// The width of a hidden state.
  let width: Int
  private let session: Session
  private let tokenizer: CLIPTokenizer
  private let tokenCount: Int

  init(
    _ encoder: TextEncoder, state: CLIPText.HiddenState, skippedLayers: Int,
    configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    let network = CLIPText(configuration: encoder.configuration, weights: encoder.weights.root)
    let graph = try network.graph(rows: 1, state: state, skippedLayers: skippedLayers)
    session = try Session(
      ONNXModel(graph, weightsIdentity: encoder.weights.identity), configuration: configuration,
      cache: cache)
    tokenizer = encoder.tokenizer
    tokenCount = encoder.configuration.tokenCount
    width = encoder.configuration.width
  }

  /// How its engine came to be.
  var report: EngineReport {
    EngineReport(name: session.name, origin: session.origin, preparation: session.preparation)
  }

  func encode(_ prompt: String) throws -> Encoded {
    let tokenized = tokenizer.encode(prompt, length: tokenCount)
    session.write(input: 0, as: Int64.self) { tokens in
      for index in tokens.indices { tokens[index] = Int64(tokenized.tokens[index]) }
    }
    session.write(input: 1, as: Int64.self) { $0[0] = Int64(tokenized.endIndex) }
    try session.run()
    return Encoded(
      hidden: session.read(output: 0, as: Float.self) { span in span.indices.map { span[$0] } },
      pooled: session.read(output: 1, as: Float.self) { span in span.indices.map { span[$0] } })
  }
}
