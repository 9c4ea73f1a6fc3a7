import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

@Suite struct CLIPTokenizerTests {
  private struct Line: Decodable {
    let text: String
    let tokens: [Int]
  }

  private static let starter = "\(Starter64.folder)/tokenizer"

  @Test("2,000 lines of every script give transformers' tokens")
  func transformers() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("tokens.json")))
    let lines = try JSONDecoder().decode([Line].self, from: data)
    #expect(lines.count == 2000)
    let tokenizer = try CLIPTokenizer(folder: Self.starter)
    for line in lines {
      #expect(
        tokenizer.encode(line.text, length: 24).tokens == line.tokens,
        "\(line.text.debugDescription)")
    }
  }

  @Test("CLIP's own vocabulary gives CLIP's tokens")
  func full() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Sources/FlowModels/Resources/clip")
    let tokenizer = try CLIPTokenizer(folder: folder.standardizedFileURL.path)
    #expect(tokenizer.maximumLength == 77)
    let tokens = tokenizer.encode("a photo of a cat", length: 77).tokens
    #expect(tokens.prefix(8) == [49406, 320, 1125, 539, 320, 2368, 49407, 49407])
  }

  @Test("What does not fit is named")
  func cut() throws {
    let tokenizer = try CLIPTokenizer(folder: Self.starter)
    #expect(tokenizer.maximumLength == 40)
    let whole = tokenizer.encode("a fox", length: 24)
    #expect(whole.cut == nil)
    #expect(whole.endIndex == whole.tokens.firstIndex(of: whole.tokens[23]))
    let cut = tokenizer.encode("a fox on a blue background", length: 5)
    #expect(cut.cut == "a blue background")
    #expect(cut.tokens.count == 5 && cut.endIndex == 4)
  }

  @Test("A tokenizer of one file reads as the same", arguments: [true, false])
  func combined(mergesAreLists: Bool) throws {
    let folder = try TemporaryFolder()
    let vocabulary = try String(contentsOfFile: "\(Self.starter)/vocab.json", encoding: .utf8)
    let merges = try String(contentsOfFile: "\(Self.starter)/merges.txt", encoding: .utf8)
      .split(separator: "\n").dropFirst().map { $0.split(separator: " ").map(String.init) }
    let list = try JSONEncoder().encode(merges)
    let texts = try JSONEncoder().encode(merges.map { $0.joined(separator: " ") })
    let json = #"{"model":{"vocab":\#(vocabulary),"merges":"#
    _ = try folder.write(
      Array(json.utf8) + (mergesAreLists ? list : texts) + Array("}}".utf8), as: "tokenizer.json")
    let tokenizer = try CLIPTokenizer(folder: folder.path)
    let plain = try CLIPTokenizer(folder: Self.starter)
    let text = "An OCTOPUS, isn't it? 🐙"
    #expect(tokenizer.encode(text, length: 20) == plain.encode(text, length: 20))
  }

  @Test(
    "Another padding token is taken from the files, as a text or as an object",
    arguments: [#"{"pad_token":"!"}"#, #"{"pad_token":{"content":"!","lstrip":false}}"#])
  func padding(map: String) throws {
    let folder = try TemporaryFolder()
    for name in ["vocab.json", "merges.txt"] {
      _ = try folder.write(
        Array(try Data(contentsOf: URL(filePath: "\(Self.starter)/\(name)"))), as: name)
    }
    _ = try folder.write(Array(map.utf8), as: "special_tokens_map.json")
    let tokens = try CLIPTokenizer(folder: folder.path).encode("fox", length: 8).tokens
    #expect(tokens.last == 0)
  }

  @Test(
    "A Git LFS pointer in the place of a tokenizer's file is named, with the remedy",
    arguments: ["vocab.json", "merges.txt", "tokenizer.json", "special_tokens_map.json"])
  func pointers(name: String) throws {
    let folder = try TemporaryFolder()
    let others = name == "tokenizer.json" ? [] : ["vocab.json", "merges.txt"]
    for other in others where other != name {
      _ = try folder.write(
        Array(try Data(contentsOf: URL(filePath: "\(Self.starter)/\(other)"))), as: other)
    }
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    let path = try folder.write(Array(pointer.utf8), as: name)
    let error = #expect(throws: TextError.self) { try CLIPTokenizer(folder: folder.path) }
    #expect(error?.code == .tokenizerInvalid)
    #expect(
      error?.message
        == "'\(path)' is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"
    )
  }

  @Test(
    "Broken files are errors that name the file",
    arguments: [
      ("{", "#version\na b\n", "vocab.json"), (#"{"a":1}"#, "a b\n", "has no '<|startoftext|>'"),
      (#"{"<|startoftext|>":0,"<|endoftext|>":1}"#, "a b c\n", "a merge is two texts"),
      (#"{"<|startoftext|>":"x","<|endoftext|>":1}"#, "", "vocab.json"),
    ])
  func broken(vocabulary: String, merges: String, expected: String) throws {
    let folder = try TemporaryFolder()
    _ = try folder.write(Array(vocabulary.utf8), as: "vocab.json")
    _ = try folder.write(Array(merges.utf8), as: "merges.txt")
    let error = #expect(throws: TextError.self) { try CLIPTokenizer(folder: folder.path) }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }
}
