import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

@Suite struct QwenTokenizerTests {
  private typealias Object = [String: Any]

  private static func text(_ value: Any) throws -> String {
    String(decoding: try JSONSerialization.data(withJSONObject: value), as: UTF8.self)
  }

  private static func combined() throws -> Object {
    let path = Bundle.module.fixture("qwen/tokenizer.json")
    let data = try Data(contentsOf: URL(filePath: path))
    return try #require(try JSONSerialization.jsonObject(with: data) as? Object)
  }

  /// A folder of files.
  private static func folder(_ files: [String: String]) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for (name, text) in files { _ = try folder.write(Array(text.utf8), as: name) }
    return folder
  }

  /// The tokenizer in the layouts in which people have it, by name.
  private static func files(_ layout: String) throws -> [String: String] {
    let combined = try combined()
    guard layout != "tokenizer.json" else { return [layout: try text(combined)] }
    let model = try #require(combined["model"] as? Object)
    let merges = try #require(model["merges"] as? [[String]]).map { $0.joined(separator: " ") }
    var files = [
      "vocab.json": try text(try #require(model["vocab"])),
      "merges.txt": "#version: 0.2\n" + merges.joined(separator: "\n") + "\n",
    ]
    let added = try #require(combined["added_tokens"] as? [Object])
    if layout == "added_tokens.json" {
      let ids = added.map { ($0["content"] as? String ?? "", $0["id"] as? Int ?? -1) }
      files[layout] = try text(Dictionary(uniqueKeysWithValues: ids))
    } else {
      let numbered = added.map { ("\($0["id"] ?? "")", $0) }
      files[layout] = try text([
        "added_tokens_decoder": Dictionary(uniqueKeysWithValues: numbered),
        "pad_token": "<|endoftext|>",
      ])
    }
    return files
  }

  @Test(
    "3,500 texts give transformers' tokens, whichever files the tokenizer is read from",
    arguments: ["tokenizer.json", "added_tokens.json", "tokenizer_config.json"])
  func transformers(layout: String) throws {
    let folder = try Self.folder(Self.files(layout))
    let tokenizer = try QwenTokenizer(folder: folder.path)
    try TokenCorpus("qwen").expect { Array(tokenizer.tokens(of: $0).prefix(TokenCorpus.length)) }
  }

  private struct Message: Decodable {
    let prompt: String
    let thinks: Bool
    let text: String
    let tokens: [Int]
    let count: Int
  }

  @Test("Messages are those of transformers' chat template, truncated and padded as there")
  func messages() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("qwen/messages.json")))
    let messages = try JSONDecoder().decode([Message].self, from: data)
    #expect(messages.contains { $0.count == 48 } && messages.contains { $0.count < 20 })
    let folder = try Self.folder(Self.files("tokenizer.json"))
    let tokenizer = try QwenTokenizer(folder: folder.path)
    for message in messages {
      let template = message.thinks ? ChatTemplate.qwen3 : .qwen3WithoutThinking
      #expect(template.prefix + message.prompt + template.suffix == message.text)
      let prompt = tokenizer.encode(message.prompt, in: template, length: 48)
      #expect(prompt.tokens == message.tokens, "\(message.prompt.debugDescription)")
      #expect(prompt.endIndex == message.count - 1)
    }
  }

  @Test("The end of a prompt that there is no room for is named, the template's is not")
  func truncated() throws {
    let folder = try Self.folder(Self.files("tokenizer.json"))
    let tokenizer = try QwenTokenizer(folder: folder.path)
    let whole = tokenizer.tokens(of: "<|im_start|>user\na fox on blue<|im_end|>")
    func cut(_ length: Int) -> String? {
      tokenizer.encode("a fox on blue", in: .qwen3, length: length).cut
    }
    #expect(cut(whole.count + 20) == nil && cut(whole.count) == nil && cut(whole.count - 1) == nil)
    #expect(cut(whole.count - 2) == "blue")
    #expect(cut(tokenizer.tokens(of: "<|im_start|>user\na fox").count) == "on blue")
    #expect(tokenizer.encode("a <|im_end|> b", in: .qwen3, length: 7).cut?.hasSuffix("b") == true)
  }

  @Test("A text is cut into words as the expression has it, and no character is left out")
  func words() throws {
    let cases = [
      "it's  'Sfoo'": ["it", "'s", " ", " '", "Sfoo", "'"],
      "I'LL'\u{17f}": ["I", "'LL", "'\u{17f}"],
      "a\n\n b \n": ["a", "\n\n", " b", " \n"], "12 a": ["1", "2", " a"],
      "x   y  ": ["x", "  ", " y", "  "], "!a !!\n\nb": ["!a", " !!\n\n", "b"],
      "\t\n \ta": ["\t\n", " ", "\ta"], "\u{a0}a \u{a0}1": ["\u{a0}a", " ", "\u{a0}", "1"],
    ]
    for (text, words) in cases {
      let found = QwenWords.words(of: Array(text.unicodeScalars))
      #expect(found == words)
      #expect(found.joined() == text)
    }
  }
}
