import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// How a model with a vocabulary reads words with typing errors.
@Suite struct PromptCorrectionTests {
  private static func vocabulary(corrects: Bool = true) -> PromptVocabulary {
    PromptVocabulary(
      subjects: [
        .init(name: "fox", otherNames: ["foxes"]), .init(name: "strawberry", otherNames: ["berry"]),
        .init(name: "soft ice cream", otherNames: ["ice cream"]),
        .init(name: "lamb", otherNames: []),
        .init(name: "crab", otherNames: []), .init(name: "car", otherNames: []),
        .init(name: "owl", otherNames: []),
        .init(name: "mouse face", otherNames: []), .init(name: "blues", otherNames: []),
      ], backgrounds: ["blue", "yellow"], ignored: ["a", "on", "background", "small", "the", "my"],
      template: "{subject} on a {background} background", subjectLimit: 2,
      correctsSpelling: corrects, otherWords: ["lamp", "box", "crib", "house", "fate", "fcae"])
  }

  private static func reading(of prompt: String) -> String {
    let vocabulary = vocabulary()
    return vocabulary.corrected(prompt, vocabulary.corrections(in: prompt))
  }

  @Test(
    "A typing error is read as the word it stands for",
    arguments: [
      ("a strawbery on a bleu background", "a strawberry on a blue background"),
      ("A Strwaberry, on YELOW!", "A strawberry, on yellow!"),
      ("(foks:1.3) on blu", "(fox:1.3) on blue"),
      ("smal lambs on yelllow backgruond", "small lamb on yellow background"),
      // The neighbors tell that it is not a crab.
      ("ice crem", "ice cream"), ("ice craem on blue", "ice cream on blue"),
      ("icee cream", "ice cream"), ("a muose face", "a mouse face"), ("mouse fcae", "mouse face"),
      // Letters are swapped more often than others are left out.
      ("a carb", "a crab"), ("<3 my foks", "<3 my fox"), ("a rcab", "a crab"),
    ])
  func corrected(prompt: String, expected: String) {
    #expect(Self.reading(of: prompt) == expected)
  }

  @Test(
    "Known words, other words of the language, parts of names and strange words stay",
    arguments: [
      "a fox and a lamb on blue", "a lamp on a box", "crib", "a house", "a fate", "mouse",
      "mouse fate", "muose face, muose", "zxcvb",
      "bl",
      "\u{72d0} on blue", "",
    ])
  func kept(prompt: String) { #expect(Self.reading(of: prompt) == prompt) }

  @Test("A vocabulary corrects nothing unless it says so")
  func notAsked() {
    #expect(Self.vocabulary(corrects: false).corrections(in: "a strawbery") == [])
  }

  @Test("Tags are left alone even if the same word stands beside them")
  func tags() {
    let vocabulary = Self.vocabulary()
    let made = vocabulary.corrected(
      "strawbery <lora:strawbery:1> <strawbery>",
      [.init(word: "strawbery", replacement: "strawberry")], keeping: ["<lora:strawbery:1>"])
    #expect(made == "strawberry <lora:strawbery:1> <strawberry>")
  }

  @Test("A prompt of thousands of unknown words costs little")
  func bounded() {
    let words = (0..<4000).map { "qz\($0)w" }
    #expect(Self.vocabulary().corrections(in: words.joined(separator: " ")) == [])
    let same = [String](repeating: "foks", count: 4000).joined(separator: " ")
    #expect(Self.vocabulary().corrections(in: same).map(\.replacement) == ["fox"])
  }
}

/// A model whose vocabulary asks for corrections.
@Suite(.tags(.engine)) struct CorrectedPromptTests {
  /// Runs a body with a copy of the small starter that corrects and allows two subjects.
  private static func withCheckpoint(_ body: (Checkpoint) async throws -> Void) async throws {
    let manager = FileManager.default
    let copy = manager.temporaryDirectory.appending(path: "corrected-\(UUID().uuidString)").path
    try manager.copyItem(atPath: Starter64.folder, toPath: copy)
    defer { try? manager.removeItem(atPath: copy) }
    let file = URL(filePath: copy + "/streamflow-vocabulary.json")
    let read = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
    var vocabulary = try #require(read as? [String: Any])
    vocabulary["correctsSpelling"] = true
    vocabulary["subjectLimit"] = 2
    vocabulary["otherWords"] = ["lamp"]
    try JSONSerialization.data(withJSONObject: vocabulary).write(to: file)
    try await body(Checkpoint(folder: copy, name: "starter"))
  }

  @Test("What is read instead is said, and no longer called unknown")
  func advice() async throws {
    try await Self.withCheckpoint { checkpoint in
      let advice = checkpoint.advice(onPrompts: ["a strawbery and a foks on a bleu background"])
      #expect(advice.map(\.code) == [.correctedWord, .correctedWord, .correctedWord])
      #expect(advice.first?.message.hasSuffix("reads 'strawbery' as 'strawberry'") == true)
      #expect(
        checkpoint.advice(onPrompts: ["a lamp"]).map(\.code) == [.unknownWord, .unknownSubject])
      let three = checkpoint.advice(onPrompts: ["a fox, a pizza and a rocket"])
      #expect(three.map(\.code) == [.severalSubjects])
      for prompt in ["straw(bery:1.2)", "a <lora:strawbery:0.5> fox"] {
        #expect(!checkpoint.advice(onPrompts: [prompt]).contains { $0.code == .correctedWord })
      }
      let bracketed = checkpoint.advice(onPrompts: ["a <strawbery>"])
      #expect(bracketed.map(\.code) == [.correctedWord])
      let negative = checkpoint.advice(onPrompts: ["a fox"], besides: ["a strawbery", "xyzzy", ""])
      #expect(negative.map(\.code) == [.correctedWord])
      #expect(three.first?.message.hasSuffix("draws at most 2 per image") == true)
    }
  }

  @Test("The image is the one of the corrected prompt")
  func images() async throws {
    try await Self.withCheckpoint { checkpoint in
      let generator = try Generator(checkpoint: checkpoint, engines: .ofTests)
      let prompts = [
        "a foks on a bleu background", "a fox on a blue background", "a panda on a blue background",
      ]
      let requests = prompts.map { prompt in
        var request = GenerationRequest(prompt: prompt)
        request.seed = 3
        return request
      }
      let images = try await generator.images(for: requests).reduce(into: [Int: PixelImage]()) {
        $0[$1.index] = $1.image
      }
      #expect(images.count == 3 && images[0]?.pixels == images[1]?.pixels)
      #expect(images[1]?.pixels != images[2]?.pixels)
    }
  }
}
