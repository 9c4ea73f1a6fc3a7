internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
internal import FlowText

/// One text encoder, ready to run.
final class PromptEncoder {
  private let encoding: any TextEncoding
  /// The number of tokens that it knows.
  private let vocabularyCount: Int
  private let program: Program

  /// - Parameter program: of ``TextEncoding/graph(skippedLayers:weights:)``.
  init(_ encoding: any TextEncoding, vocabularyCount: Int, program: Program) {
    self.encoding = encoding
    self.vocabularyCount = vocabularyCount
    self.program = program
  }

  /// The states of a prompt, chunk by chunk.
  ///
  /// - Throws: `fileInvalid` for a tokenizer that is not the encoder's; an `EngineError`.
  func encode(_ prompt: String, syntax: PromptSyntax) throws -> EncodedText {
    let chunks = encoding.chunks(of: prompt, syntax: syntax).chunks
    let encoded = try chunks.map(encode)
    return EncodedText(
      width: encoding.width, hidden: encoded.flatMap(\.hidden), pooled: encoded[0].pooled,
      chunkCount: chunks.count, tokenCount: chunks[0].endIndex + 1)
  }

  private func encode(_ chunk: ChunkedPrompt.Chunk) throws -> (hidden: [Float], pooled: [Float]) {
    // The engine would look the token up beyond the table, and say nothing.
    if let unknown = chunk.tokens.first(where: { $0 >= vocabularyCount }) {
      throw ModelError(
        code: .fileInvalid,
        message: "the tokenizer gives token \(unknown), and \(encoding.name) knows "
          + "\(vocabularyCount) (its table of token embeddings); they are not of one model")
    }
    for (name, elements) in encoding.inputs(of: chunk) {
      program.write(name, ContiguousArray(elements).span)
    }
    try program.run()
    var hidden = program.floats("hidden")
    chunk.weigh(&hidden)
    let hasPooled = program.outputs.contains { $0.name == "pooled" }
    return (hidden, hasPooled ? program.floats("pooled") : [])
  }
}
