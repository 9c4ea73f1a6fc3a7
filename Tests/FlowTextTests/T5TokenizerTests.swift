import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

@Suite struct T5TokenizerTests {
  private static func file(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: Bundle.module.fixture("t5/\(name)"))))
  }

  /// A folder of the tokenizer's files, one of them changed.
  private static func folder(
    _ names: [String], changing: ([UInt8]) -> [UInt8] = { $0 }
  ) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for name in names { _ = try folder.write(changing(file(name)), as: name) }
    return folder
  }

  @Test(
    "3,500 texts give transformers' tokens, whichever file the tokenizer is read from",
    arguments: ["tokenizer.json", "spiece.model"])
  func transformers(name: String) throws {
    let folder = try Self.folder([name])
    let tokenizer = try T5Tokenizer(folder: folder.path)
    try TokenCorpus("t5").expect { text in
      let prompt = tokenizer.encode(text, length: TokenCorpus.length)
      #expect(prompt.tokens.count == TokenCorpus.length)
      #expect(prompt.tokens[(prompt.endIndex + 1)...].allSatisfy { $0 == 0 })
      return Array(prompt.tokens[...prompt.endIndex])
    }
  }

  @Test("A folder without a tokenizer is an error that names what is looked for")
  func missing() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: TextError.self) { try T5Tokenizer(folder: folder.path) }
    #expect(error?.code == .fileUnreadable)
    #expect(error?.message.contains("has neither tokenizer.json nor spiece.model") == true)
  }

  @Test("A Git LFS pointer is named", arguments: ["tokenizer.json", "spiece.model"])
  func pointers(name: String) throws {
    let folder = try TemporaryFolder()
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    _ = try folder.write(Array(pointer.utf8), as: name)
    let error = #expect(throws: TextError.self) { try T5Tokenizer(folder: folder.path) }
    #expect(error?.message.contains("is a Git LFS pointer") == true)
  }

  @Test("A file that ends too early is an error, wherever it ends")
  func truncated() throws {
    let bytes = try Self.file("spiece.model")
    // Every place among the first pieces, and many among the rest.
    for end in Array(0..<200) + stride(from: 200, to: bytes.count, by: 997) {
      let folder = try TemporaryFolder()
      _ = try folder.write(Array(bytes[..<end]), as: "spiece.model")
      do {
        // Between two pieces a file is whole, and is a smaller model.
        let tokenizer = try T5Tokenizer(folder: folder.path)
        #expect(tokenizer.encode("a fox", length: 8).tokens.contains(1))
      } catch {
        #expect(error.code == .tokenizerInvalid && error.message.contains("spiece.model"))
      }
    }
    let folder = try Self.folder(["tokenizer.json"]) { Array($0[..<($0.count / 2)]) }
    #expect(throws: TextError.self) { try T5Tokenizer(folder: folder.path) }
  }

  @Test("Bytes changed at random give tokens or an error, and never end the program")
  func changed() throws {
    let bytes = try Self.file("spiece.model")
    var state: UInt64 = 7
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for _ in 0..<60 {
      var changed = bytes
      for _ in 0...random(4) { changed[random(changed.count)] = UInt8(random(256)) }
      let folder = try TemporaryFolder()
      _ = try folder.write(changed, as: "spiece.model")
      do {
        let tokenizer = try T5Tokenizer(folder: folder.path)
        for text in ["a fox on ½ e\u{301}\u{308} ＦＯＸ 日本 ﬁ", "</s>🦊\u{0}<unk>"] {
          #expect(tokenizer.encode(text, length: 40).tokens.count == 40)
        }
      } catch { #expect(error.code == .tokenizerInvalid) }
    }
  }

  /// A field of a message.
  private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count < 128, "one byte is the length")
    return [number << 3 | 2, UInt8(bytes.count)] + bytes
  }

  private static let first = ["<pad>", "</s>", "<unk>"]
    .flatMap { field(1, field(1, Array($0.utf8))) }

  @Test(
    "Model files of another kind are errors with the reason",
    arguments: [
      ([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "more than 64 bits"),
      (
        [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "bytes where 0 are left"
      ),
      ([0x0a, 0x80], "ends within a number"), ([0x0b], "a field of unknown kind 3"),
      ([0x08, 0x01], "has no message in field 1"),
      (field(1, field(1, [0xff])), "a piece 0 that is not UTF-8"),
      (field(1, [0x10, 0x01]), "a piece 0 of a kind that T5 does not use"),
      (field(1, [0x18, 0x06]), "a piece 0 of a kind that T5 does not use"),
      (field(2, [0x18, 0x02]), "is not a unigram model"),
      (field(3, [0x10, 0x01]), "has a normalizer without a map"),
      (field(1, field(1, Array("a".utf8))), "does not begin with the tokens <pad>, </s>, <unk>"),
      ([], "does not begin with the tokens"),
      (first + field(1, []), "a token 3 without a text"),
      (
        first + field(1, field(1, [0x61]) + [0x15, 0, 0, 0xc0, 0x7f]),
        "whose score is not a number"
      ),
      (first + field(3, field(2, [1, 2])), "has a map of characters that has 2 bytes"),
    ])
  func broken(bytes: [UInt8], expected: String) throws {
    let folder = try TemporaryFolder()
    _ = try folder.write(bytes, as: "spiece.model")
    let error = #expect(throws: TextError.self) { try T5Tokenizer(folder: folder.path) }
    #expect(error?.code == .tokenizerInvalid)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  /// The bytes of a map with a trie of one block.
  private static func map(_ units: [Int: UInt32], texts: [UInt8] = [0x61, 0]) -> [UInt8] {
    let words = [UInt32(1024)] + (0..<256).map { units[$0] ?? 0 }
    return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
      + texts
  }

  @Test("A map whose trie leads nowhere is an error, and so are texts without an end")
  func maps() throws {
    func problem(_ bytes: [UInt8]) -> String? {
      do {
        _ = try PrecompiledMap(bytes)
        return nil
      } catch { return error.words }
    }
    // The root at 0 has its children from 0 on; "b" has a value in unit 1 + ("b" at 98).
    let leaf = UInt32(98) | 1 << 8 | (98 ^ 99) << 10
    #expect(problem(Self.map([98: leaf, 99: 1 << 31])) == nil)
    let map = try PrecompiledMap(Self.map([98: leaf, 99: 1 << 31]))
    #expect(map.normalized("abc\u{0}").map { String($0) } == ["a", "a", "c", "\u{0}"])
    #expect(problem([]) == "has 0 bytes")
    #expect(problem([4, 0, 0, 0])?.contains("a trie of 4 bytes where 0 are left") == true)
    #expect(problem([3, 0, 0, 0, 0, 0, 0, 0])?.contains("a trie of 3 bytes") == true)
    #expect(problem([0, 0, 0, 0, 0])?.contains("a trie of 0 bytes") == true)
    #expect(problem([255, 255, 255, 255, 0])?.contains("where 1 are left") == true)
    #expect(problem(Self.map([0: 1 << 31])) == "begins with a value")
    #expect(problem(Self.map([98: 98 | 1 << 20])) == "leads to unit 1279 of 256")
    #expect(problem(Self.map([98: 98 | 1 << 9 | 1 << 30]))?.contains("leads to unit") == true)
    #expect(problem(Self.map([98: leaf]))?.contains("points to no text") == true)
    #expect(problem(Self.map([98: leaf, 99: 1 << 31 | 2]))?.contains("to no text") == true)
    #expect(problem(Self.map([:], texts: [0x61]))?.contains("not zero-terminated") == true)
    #expect(problem(Self.map([:], texts: [0xff, 0]))?.contains("not zero-terminated") == true)
    #expect(problem(Self.map([:], texts: []))?.contains("not zero-terminated") == true)
    let inner = Self.map([98: leaf, 99: 1 << 31 | 1], texts: [0xc3, 0xa9, 0])
    #expect(problem(inner)?.contains("points to no text") == true)
  }

  @Test(
    "Other tokenizers in tokenizer.json are errors with the reason",
    arguments: [
      ("{", "not a valid tokenizer file"), ("[]", "not a valid tokenizer file"),
      (#"{"model":{"vocab":{"a":1}}}"#, "not a valid tokenizer file"),
      (#"{"model":{"vocab":[["a"]]}}"#, "not a valid tokenizer file"),
      (#"{"model":{"vocab":[[1,2]]}}"#, "not a valid tokenizer file"),
      (#"{"model":{"type":"BPE","vocab":[]}}"#, "is not a unigram model"),
      (#"{"model":{"unk_id":0,"vocab":[]}}"#, "is not a unigram model whose token 2 is <unk>"),
      (#"{"model":{"byte_fallback":true,"vocab":[]}}"#, "is not a unigram model"),
      (#"{"model":{"vocab":[["a",0]]}}"#, "does not begin with the tokens"),
      (
        #"{"model":{"vocab":[]},"normalizer":{"type":"Lowercase"}}"#,
        "has a step 'Lowercase', which T5's tokenizer does not use"
      ),
      (
        #"{"model":{"vocab":[]},"normalizer":{"type":"Replace","pattern":{"Regex":"x"},"content":"y"}}"#,
        "replaces 'x'"
      ),
      (
        #"{"model":{"vocab":[]},"pre_tokenizer":{"type":"Metaspace","replacement":"_"}}"#,
        "marks words with '_'"
      ),
      (
        #"{"model":{"vocab":[]},"normalizer":{"type":"Precompiled","precompiled_charsmap":"?"}}"#,
        "is not base64"
      ),
    ])
  func others(json: String, expected: String) throws {
    let folder = try TemporaryFolder()
    _ = try folder.write(Array(json.utf8), as: "tokenizer.json")
    let error = #expect(throws: TextError.self) { try T5Tokenizer(folder: folder.path) }
    #expect(error?.code == .tokenizerInvalid)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  @Test("A tokenizer in transformers 4's layout gives the same tokens")
  func older() throws {
    let text = String(decoding: try Self.file("tokenizer.json"), as: UTF8.self)
    let normalizer = try #require(text.firstRange(of: #""normalizer":{"type":"Precompiled""#))
    let end = try #require(text[normalizer.upperBound...].firstRange(of: "}"))
    var changed = text
    changed.insert(
      contentsOf: #",{"type":"Strip","strip_left":false,"strip_right":true},"#
        + #"{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]}"#, at: end.upperBound)
    changed.insert(
      contentsOf: #"{"type":"Sequence","normalizers":["#,
      at: changed.index(normalizer.lowerBound, offsetBy: #""normalizer":"#.count))
    let folder = try TemporaryFolder()
    _ = try folder.write(Array(changed.utf8), as: "tokenizer.json")
    _ = try folder.write(
      Array(#"{"pad_token":"<pad>","additional_special_tokens":["<extra_id_0>"]}"#.utf8),
      as: "special_tokens_map.json")
    let tokenizer = try T5Tokenizer(folder: folder.path)
    let plain = try T5Tokenizer(folder: Bundle.module.fixture("t5"))
    for text in ["a  fox <extra_id_0>on ＢＬＵＥ", "  ", "</s>a"] {
      #expect(tokenizer.encode(text, length: 20) == plain.encode(text, length: 20))
    }
  }
}
