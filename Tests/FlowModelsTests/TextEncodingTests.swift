import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import FlowText

/// Text encoders with their tokenizers: what prompts become, and what graphs read of them.
@Suite struct TextEncodingTests {
  private static let tokenizers = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../FlowTextTests/Fixtures").standardizedFileURL.path

  /// A model's folder of a tiny encoder and a small tokenizer.
  private static func folder(encoder: String, tokenizer: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let manager = FileManager.default
    try manager.copyItem(
      atPath: Bundle.module.fixture("text-encoders/\(encoder)"),
      toPath: "\(folder.path)/text_encoder")
    try manager.copyItem(
      atPath: "\(tokenizers)/\(tokenizer)", toPath: "\(folder.path)/tokenizer")
    return folder
  }

  private static func t5(tokenCount: Int) throws -> (T5TextEncoding, WeightStore) {
    let folder = try folder(encoder: "t5", tokenizer: "t5")
    return try T5TextEncoding.open(
      folder: folder.path, name: "text_encoder", tokenizer: "tokenizer", tokenCount: tokenCount,
      LoadOptions())
  }

  @Test("T5 reads one chunk, padded with 0 after the end token, in which nothing is weighed")
  func t5Chunk() throws {
    let (encoding, weights) = try Self.t5(tokenCount: 24)
    let plain = encoding.chunks(of: "a fox on a blue background", syntax: .plain)
    #expect(plain.chunks.count == 1 && plain.cut == nil)
    let chunk = plain.chunks[0]
    #expect(chunk.tokens.count == 24 && chunk.isUnweighted)
    #expect(chunk.tokens[chunk.endIndex] == 1)
    #expect(chunk.tokens[(chunk.endIndex + 1)...].allSatisfy { $0 == 0 })
    let inputs = encoding.inputs(of: chunk)
    #expect(inputs.map(\.name) == ["tokens"])
    #expect(inputs[0].elements == chunk.tokens.map(Int64.init))
    let module = GraphModule(
      try encoding.graph(skippedLayers: 0, weights: weights.root),
      weightsIdentity: weights.identity)
    #expect(module.inputs.map(\.name) == ["tokens"] && module.inputs[0].shape == [1, 24])
    #expect(module.outputs.map(\.name) == ["hidden"] && module.outputs[0].shape == [1, 24, 24])
    #expect(try encoding.vocabularyCount(weights: weights.root) == 64)
    #expect(encoding.layerCount > 12)  // whatever CLIP beside it is asked to skip
  }

  @Test("T5 reads a weighted prompt without the signs of weight, and a plain one with them")
  func t5Syntax() throws {
    let (encoding, _) = try Self.t5(tokenCount: 24)
    let text = encoding.chunks(of: "a fox on blue", syntax: .plain)
    let weighted = "a (fox:1.3) <lora:x:0.5> BREAK [on] blue"
    #expect(encoding.chunks(of: weighted, syntax: .weighted) == text)
    #expect(encoding.chunks(of: weighted, syntax: .plain) != text)
  }

  @Test("The end of a prompt that T5 has no room for is named")
  func t5Truncation() throws {
    let (encoding, _) = try Self.t5(tokenCount: 4)
    let long = encoding.chunks(of: "a fox on a blue background", syntax: .plain)
    #expect(long.chunks[0].tokens.count == 4 && long.chunks[0].tokens[3] == 1)
    #expect(long.cut == "a blue background")
    #expect(encoding.chunks(of: "a", syntax: .plain).cut == nil)
    #expect(encoding.chunks(of: "", syntax: .plain).chunks[0].tokens == [1, 0, 0, 0])
  }

  private static func qwen3(
    tokenCount: Int, states: @escaping (Int) -> [Int] = { [$0 - 1] }
  ) throws -> (Qwen3TextEncoding, WeightStore) {
    let folder = try folder(encoder: "qwen3", tokenizer: "qwen")
    return try Qwen3TextEncoding.open(
      folder: folder.path, template: .qwen3, states: states, tokenCount: tokenCount, LoadOptions())
  }

  @Test("Qwen3 reads one message, padded after its end, and a mask of its tokens")
  func qwen3Chunk() throws {
    let (encoding, weights) = try Self.qwen3(tokenCount: 40) { [1, 2, $0 - 1] }
    let plain = encoding.chunks(of: "a fox", syntax: .plain)
    #expect(plain.chunks.count == 1 && plain.cut == nil && plain.chunks[0].isUnweighted)
    let chunk = plain.chunks[0]
    let text = ChatTemplate.qwen3.prefix + "a fox" + ChatTemplate.qwen3.suffix
    let tokens = encoding.tokenizer.tokens(of: text)
    #expect(chunk.tokens.starts(with: tokens) && chunk.endIndex == tokens.count - 1)
    let inputs = encoding.inputs(of: chunk)
    #expect(inputs.map(\.name) == ["tokens", "mask"])
    #expect(inputs[0].elements == chunk.tokens.map(Int64.init))
    #expect(inputs[1].elements.prefix(tokens.count).allSatisfy { $0 == 1 })
    #expect(inputs[1].elements.dropFirst(tokens.count).allSatisfy { $0 == 0 })
    let module = GraphModule(
      try encoding.graph(skippedLayers: 0, weights: weights.root),
      weightsIdentity: weights.identity)
    #expect(module.inputs.map(\.name) == ["tokens", "mask"])
    #expect(module.outputs.map(\.name) == ["hidden"])
    #expect(module.outputs[0].shape == [1, 40, 72] && encoding.width == 72)
    #expect(try encoding.vocabularyCount(weights: weights.root) == 64)
  }

  @Test("Qwen3 reads brackets as text in either syntax, and no tags in a weighted one")
  func qwen3Syntax() throws {
    let (encoding, _) = try Self.qwen3(tokenCount: 64)
    let prompt = "a (fox:1.3) BREAK [on] blue"
    let plain = encoding.chunks(of: prompt, syntax: .plain)
    #expect(encoding.chunks(of: prompt, syntax: .weighted) == plain)
    let tagged = "<lora:x:0.5>a (fox:1.3) BREAK<lyco:y> [on] blue"
    #expect(encoding.chunks(of: tagged, syntax: .weighted) == plain)
    #expect(encoding.chunks(of: tagged, syntax: .plain) != plain)
  }

  @Test("The end of a prompt that Qwen3 has no room for is named")
  func qwen3Truncation() throws {
    let (encoding, _) = try Self.qwen3(tokenCount: 8)
    let long = encoding.chunks(of: "a fox on a blue background", syntax: .plain)
    #expect(long.chunks[0].tokens.count == 8 && long.chunks[0].endIndex == 7)
    #expect(long.cut?.hasSuffix("blue background") == true, "\(long)")
    #expect(encoding.chunks(of: "a", syntax: .plain).cut == nil)
  }

  @Test("A language model with fewer layers than its network reads is refused")
  func qwen3Layers() throws {
    let error = #expect(throws: ModelError.self) {
      try Self.qwen3(tokenCount: 40) { _ in [9, 18, 27] }
    }
    #expect(error?.message.contains("num_hidden_layers = 4 is not supported") == true)
  }
}
