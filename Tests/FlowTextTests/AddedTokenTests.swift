import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

/// Added tokens, against transformers (`Scripts/fixtures/added_tokens.py`).
@Suite struct AddedTokenTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let starter = "\(Starter64.folder)/tokenizer"

  private static func starterFile(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: "\(starter)/\(name)")))
  }

  /// The starter's tokenizer with other files beside it.
  private func tokenizer(_ files: [String: String]) throws -> CLIPTokenizer {
    let all = ["vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"]
    for name in all { _ = try folder.write(Self.starterFile(name), as: name) }
    for (name, text) in files { _ = try folder.write(Array(text.utf8), as: name) }
    return try CLIPTokenizer(folder: folder.path)
  }

  /// The starter's tokenizer in one file with added tokens.
  private func combinedTokenizer(_ added: String) throws -> CLIPTokenizer {
    let merges = String(decoding: try Self.starterFile("merges.txt"), as: UTF8.self)
      .split(separator: "\n").dropFirst().map(String.init)
    let list = String(decoding: try JSONEncoder().encode(merges), as: UTF8.self)
    let vocabulary = String(decoding: try Self.starterFile("vocab.json"), as: UTF8.self)
    let json =
      #"{"added_tokens":\#(added),"model":{"vocab":\#(vocabulary),"merges":\#(list)}}"#
    _ = try folder.write(Array(json.utf8), as: "tokenizer.json")
    return try CLIPTokenizer(folder: folder.path)
  }

  private struct Line: Decodable {
    let text: String
    let tokens: [Int]
  }

  @Test(
    "Hostile texts around added tokens give transformers' tokens",
    arguments: [
      "added_tokens.json", "added_tokens_decoder", "tokenizer.json", "special_tokens_map.json",
    ])
  func transformers(name: String) throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("added-tokens.json")))
    let layouts = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    let layout = try #require(layouts.first { $0["name"] as? String == name })
    let files = try #require(layout["files"] as? [String: Any])
    let texts = try files.mapValues {
      String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self)
    }
    let tokenizer =
      try texts["added_tokens"].map { try combinedTokenizer($0) } ?? tokenizer(texts)
    let lines = try JSONDecoder().decode(
      [Line].self, from: JSONSerialization.data(withJSONObject: try #require(layout["lines"])))
    #expect(lines.count > 100)
    for line in lines {
      #expect(
        tokenizer.encode(line.text, length: 24).tokens == line.tokens,
        "\(line.text.debugDescription)")
    }
  }

  @Test("An added token in a weighted prompt has the weight of its brackets")
  func weighted() throws {
    let tokenizer = try tokenizer(["added_tokens.json": #"{"<cat-toy>":2473}"#])
    let prompt = WeightedPrompt(parsing: "a (<cat-toy>:1.5) fox")
    let chunk = tokenizer.encode(prompt, length: 12).chunks[0]
    let place = try #require(chunk.tokens.firstIndex(of: 2473))
    #expect(chunk.weights[place] == 1.5 && chunk.weights[place + 1] == 1)
    let plain = tokenizer.encode("a <cat-toy> fox", length: 12)
    #expect(chunk.tokens == plain.tokens)
  }

  @Test("The end of a prompt that has no room is named with its added tokens")
  func truncated() throws {
    let tokenizer = try tokenizer(["added_tokens.json": #"{"<cat-toy>":2473}"#])
    let prompt = tokenizer.encode("fox <cat-toy> on <cat-toy> fox", length: 5)
    #expect(prompt.cut == "<cat-toy> fox" && prompt.tokens.count == 5)
    let exact = tokenizer.encode("fox <cat-toy> on", length: 5)
    #expect(exact.cut == nil)
  }

  @Test("A padding token that is an added token is found")
  func padding() throws {
    let tokenizer = try tokenizer([
      "added_tokens.json": #"{"[PAD]":2473}"#,
      "special_tokens_map.json": #"{"pad_token":"[PAD]","additional_special_tokens":["<new>"]}"#,
    ])
    #expect(tokenizer.encode("fox", length: 8).tokens.suffix(5) == [2473, 2473, 2473, 2473, 2473])
    // As transformers does, a special token without an id is numbered after all others.
    #expect(tokenizer.encode("<new>", length: 4).tokens[1] == 2474)
  }

  @Test(
    "Added tokens that are wrong are errors with the file",
    arguments: [
      (["added_tokens.json": #"{"<a>":-1}"#], "give '<a>' the id -1, which is out of range"),
      (["added_tokens.json": "[1]"], "added_tokens.json' is not a valid tokenizer file"),
      (
        ["tokenizer_config.json": #"{"added_tokens_decoder":{"x":{"content":"<a>"}}}"#],
        "give '<a>' the id 'x', which is not a number"
      ),
      (["tokenizer.json": #"{"added_tokens":[{"content":"<a>"}]}"#], "list '<a>' without an id"),
    ])
  func broken(files: [String: String], expected: String) throws {
    let error = #expect(throws: TextError.self) { try tokenizer(files) }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  @Test("Byte-order marks and other encodings of the files are read")
  func encodings() throws {
    let merges = try Self.starterFile("merges.txt")
    let vocabulary = String(decoding: try Self.starterFile("vocab.json"), as: UTF8.self)
    let wide = vocabulary.utf16.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
    _ = try folder.write([0xef, 0xbb, 0xbf] + merges, as: "merges.txt")
    _ = try folder.write([0xff, 0xfe] + wide, as: "vocab.json")
    let tokens = try CLIPTokenizer(folder: folder.path).encode("a fox", length: 8)
    #expect(tokens == (try CLIPTokenizer(folder: Self.starter).encode("a fox", length: 8)))
  }
}
