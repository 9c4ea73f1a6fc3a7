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

  @Test("A text is split into words by the expression, and no character is lost")
  func words() throws {
    let cases = [
      "it's  'Sfoo'": ["it", "'s", " ", " '", "Sfoo", "'"],
      "I'LL'\u{17f}o": ["I", "'LL", "'\u{17f}", "o"],
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

  @Test(
    "Tokenizers that split, pad or truncate differently are errors with the reason",
    arguments: [
      ("normalizer", #"{"type":"NFKC"}"#, "the normalizer is not that of Qwen: expected NFC"),
      ("pre_tokenizer", #"{"type":"ByteLevel","use_regex":true}"#, "the pre_tokenizer is not that"),
      (
        "pre_tokenizer",
        #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}"},"behavior":"Isolated"},{"type":"ByteLevel","use_regex":false}]}"#,
        "the pre_tokenizer is not that"
      ),
      ("padding", #"{"direction":"Left"}"#, "the padding is not that of Qwen"),
    ])
  func others(key: String, value: String, expected: String) throws {
    var combined = try Self.combined()
    combined[key] = try JSONSerialization.jsonObject(with: Data(value.utf8))
    let folder = try Self.folder(["tokenizer.json": Self.text(combined)])
    let error = #expect(throws: TextError.self) { try QwenTokenizer(folder: folder.path) }
    #expect(error?.code == .tokenizerInvalid)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  @Test(
    "Options that change tokens are errors with the reason",
    arguments: [
      (#"{"padding_side":"left"}"#, "padding_side is not that of Qwen: expected \"right\""),
      (#"{"truncation_side":"left"}"#, "truncation_side"),
      (#"{"add_prefix_space":true}"#, "add_prefix_space"),
      (#"{"add_bos_token":true}"#, "add_bos_token"),
      (#"{"split_special_tokens":true}"#, "split_special_tokens"),
      (#"{"pad_token":7}"#, "not a valid tokenizer file"),
    ])
  func options(json: String, expected: String) throws {
    let files = try Self.files("tokenizer.json").merging(["tokenizer_config.json": json]) { $1 }
    let folder = try Self.folder(files)
    let error = #expect(throws: TextError.self) { try QwenTokenizer(folder: folder.path) }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  @Test("A vocabulary that lacks a byte, a merge or a special token is an error that names it")
  func incomplete() throws {
    func message(_ change: (inout Object, inout [String: Int]) throws -> Void) throws -> String {
      var combined = try Self.combined()
      var model = try #require(combined["model"] as? Object)
      var vocabulary = try #require(model["vocab"] as? [String: Int])
      try change(&combined, &vocabulary)
      model["vocab"] = vocabulary
      combined["model"] = model
      let folder = try Self.folder(["tokenizer.json": Self.text(combined)])
      let error = #expect(throws: TextError.self) { try QwenTokenizer(folder: folder.path) }
      #expect(error?.code == .tokenizerInvalid)
      return error?.message ?? ""
    }
    #expect(try message { $1["Ġ"] = nil }.contains("has no 'Ġ', which stands for a byte"))
    #expect(try message { $1["Ġthe"] = nil }.contains("has no 'Ġthe', which a merge makes"))
    #expect(
      try message { combined, _ in combined["added_tokens"] = [Object]() }
        .contains("lack '<|im_start|>', which Qwen's messages need"))
    let folder = try TemporaryFolder()
    let error = #expect(throws: TextError.self) { try QwenTokenizer(folder: folder.path) }
    #expect(error?.code == .fileUnreadable)
  }

  @Test("A file that ends too early is an error", arguments: [0, 1, 100, 5000, 15000])
  func truncated(count: Int) throws {
    let text = try #require(try Self.files("tokenizer.json")["tokenizer.json"])
    let folder = try Self.folder(["tokenizer.json": String(text.prefix(count))])
    #expect(throws: TextError.self) { try QwenTokenizer(folder: folder.path) }
  }
}
