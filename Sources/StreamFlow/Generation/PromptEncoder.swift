internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowText

/// One text encoder, ready to run, with its tokenizer.
final class PromptEncoder {
  /// What it makes of a prompt.
  struct Encoded {
    /// The hidden states of all chunks, weighed, `[chunks * tokens, width]`.
    let hidden: [Float]
    /// The pooled state of the first chunk.
    let pooled: [Float]
    /// The number of chunks.
    let chunkCount: Int
  }

  /// The width of a hidden state.
  let width: Int
  private let program: Program
  private let tokenizer: CLIPTokenizer
  private let tokenCount: Int
  private let name: String
  /// The number of tokens that it knows.
  private let vocabularyCount: Int

  /// - Parameter program: of ``module(of:state:skippedLayers:)``.
  init(_ encoder: TextEncoder, program: Program) throws {
    self.program = program
    tokenizer = encoder.tokenizer
    tokenCount = encoder.configuration.tokenCount
    width = encoder.configuration.width
    name = encoder.name
    vocabularyCount = try encoder.weights.root["embeddings"]["token_embedding"]
      .shape(of: "weight")[0]
  }

  /// The graph of a text encoder.
  static func module(
    of encoder: TextEncoder, state: CLIPText.HiddenState, skippedLayers: Int
  ) throws -> GraphModule {
    let network = CLIPText(configuration: encoder.configuration, weights: encoder.weights.root)
    return GraphModule(
      try network.graph(rows: 1, state: state, skippedLayers: skippedLayers),
      weightsIdentity: encoder.weights.identity)
  }

  func encode(_ prompt: String, syntax: PromptSyntax) throws -> Encoded {
    let chunks = syntax.chunks(of: prompt, tokenizer: tokenizer, tokenCount: tokenCount).chunks
    let encoded = try chunks.map(encode)
    return Encoded(
      hidden: encoded.flatMap(\.hidden), pooled: encoded[0].pooled, chunkCount: chunks.count)
  }

  private func encode(_ chunk: ChunkedPrompt.Chunk) throws -> (hidden: [Float], pooled: [Float]) {
    // The engine would look the token up beyond the table, and say nothing.
    if let unknown = chunk.tokens.first(where: { $0 >= vocabularyCount }) {
      throw ModelError(
        code: .fileInvalid,
        message: "the tokenizer gives token \(unknown), and \(name) knows \(vocabularyCount) "
          + "(token_embedding.weight); they are not of one model")
    }
    program.withInput("tokens", as: Int64.self) { tokens in
      for index in tokens.indices { tokens[index] = Int64(chunk.tokens[index]) }
    }
    program.withInput("end", as: Int64.self) { $0[0] = Int64(chunk.endIndex) }
    try program.run()
    var hidden = program.floats("hidden")
    chunk.weigh(&hidden)
    let pooled = program.floats("pooled")
    return (hidden, pooled)
  }

  /// The chunks that all encoders made of one prompt, whose states stand side by side.
  static func chunkCount(of encoded: [Encoded]) throws(ModelError) -> Int {
    let counts = Set(encoded.map(\.chunkCount))
    guard counts.count <= 1 else {
      throw ModelError(
        code: .requestInvalid,
        message: "the text encoders cut a prompt into \(counts.sorted()) chunks, since their "
          + "tokenizers differ; shorten it, or read it as plain (--prompt-syntax plain)")
    }
    return counts.first ?? 1
  }
}
