internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
internal import FlowText

/// One text encoder, ready to run.
final class PromptEncoder {
  private let encoding: any TextEncoding
  /// The size of its vocabulary.
  private let vocabularyCount: Int
  private let program: Program

  /// - Parameter program: the program of ``TextEncoding/graph(skippedLayers:weights:)``.
  init(_ encoding: any TextEncoding, vocabularyCount: Int, program: Program) {
    self.encoding = encoding
    self.vocabularyCount = vocabularyCount
    self.program = program
  }

  /// The hidden states of a prompt, chunk by chunk.
  ///
  /// - Throws: `fileInvalid` if the tokenizer does not belong to the encoder; an `EngineError`.
  func encode(_ prompt: String, syntax: PromptSyntax) throws -> EncodedText {
    let chunks = encoding.chunks(of: prompt, syntax: syntax).chunks
    let encoded = try chunks.map(encode)
    return EncodedText(
      width: encoding.width, hidden: encoded.flatMap(\.hidden), pooled: encoded[0].pooled,
      chunkCount: chunks.count, tokenCount: chunks[0].endIndex + 1)
  }

  private func encode(_ chunk: ChunkedPrompt.Chunk) throws -> (hidden: [Float], pooled: [Float]) {
    // The engine would silently read beyond the table.
    if let unknown = chunk.tokens.first(where: { $0 >= vocabularyCount }) {
      throw ModelError(
        code: .fileInvalid,
        message: "the tokenizer gives token \(unknown), and \(encoding.name) knows "
          + "\(vocabularyCount) (its table of token embeddings); they belong to different models")
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
