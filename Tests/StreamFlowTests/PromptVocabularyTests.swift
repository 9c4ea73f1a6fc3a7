import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// What the starter says of prompts and sizes that it was not trained for.
@Suite struct PromptVocabularyTests {
  private static let starter = Result { try Checkpoint.starter64() }
  private let checkpoint: Checkpoint
  private let vocabulary: PromptVocabulary

  init() throws {
    checkpoint = try Self.starter.get()
    vocabulary = try #require(checkpoint.vocabulary)
  }

  /// What `Scripts/train/glyphs.py` puts around names.
  private static let fillers = [
    "%@", "cute %@", "little %@", "big %@", "nice %@", "funny %@", "picture of a %@",
    "photo of a %@", "drawing of a %@", "one %@", "the %@", "simple %@", "emoji of a %@",
  ]
  private static let places = [
    "%@", "%@ on a % background", "%@ on % background", "%@ on %", "%@ % background",
  ]

  @Test("The starter knows the 435 things on 10 backgrounds that it was trained on")
  func counts() {
    #expect(vocabulary.subjects.count == 435 && vocabulary.backgrounds.count == 10)
    #expect(Set(vocabulary.subjects.map(\.name)).count == 435)
  }

  @Test("No prompt of a name on a background is advised against, whatever the phrasing")
  func names() {
    for (row, subject) in vocabulary.subjects.enumerated() {
      for (column, background) in vocabulary.backgrounds.enumerated() {
        let place = Self.places[(row + column) % Self.places.count]
        let prompts = [
          vocabulary.prompt(of: subject, on: background),
          place.replacing("%@", with: subject.name).replacing("%", with: background),
        ]
        for prompt in prompts {
          #expect(vocabulary.unknownWords(in: prompt) == [], "\(prompt)")
          #expect(vocabulary.subjects(in: prompt).count == 1, "\(prompt)")
        }
      }
    }
  }

  @Test("No other name or keyword is advised against, with any word before it")
  func otherNames() {
    for (row, subject) in vocabulary.subjects.enumerated() {
      for (column, phrase) in subject.otherNames.enumerated() {
        let background = vocabulary.backgrounds[(row + column) % 10]
        for (index, filler) in Self.fillers.enumerated() {
          let place = Self.places[(row + index) % Self.places.count]
          let prompt = place.replacing("%@", with: filler.replacing("%@", with: phrase))
            .replacing("%", with: background)
          #expect(checkpoint.advice(onPrompts: [prompt]) == [], "\(prompt)")
        }
      }
    }
  }

  @Test(
    "Capitals, punctuation, possessives and signs of weight are understood",
    arguments: [
      "A Fox, on a BLUE background!", "a red fox", "an orange", "a (fox:1.3) on a [red] background",
      "the cat's face on white", "Jack-O-Lantern", "one cat, the cat face", "fox\u{2019}s fox",
    ])
  func understood(prompt: String) {
    #expect(checkpoint.advice(onPrompts: [prompt]).filter { $0.code == .unknownWord } == [])
    #expect(!vocabulary.subjects(in: prompt).isEmpty)
  }

  @Test("Several things in a prompt are said to be too many")
  func several() {
    #expect(vocabulary.subjects(in: "a fox and a dog").map(\.name) == ["fox", "dog"])
    for prompt in ["a fox and a dog on red", "a pizza, an octopus and a rocket"] {
      #expect(checkpoint.advice(onPrompts: [prompt]).map(\.code) == [.severalSubjects])
    }
    #expect(checkpoint.advice(onPrompts: ["an orange fox", "santa claus, santa"]) == [])
  }

  @Test(
    "An unknown word is named with the nearest known one",
    arguments: [
      ("a foks on a blu background", ["foks": "fox", "blu": "blue"]), ("zxcvb", ["zxcvb": nil]),
      (
        "an octupus on a yelow backround",
        ["octupus": "octopus", "yelow": "yellow", "backround": "background"]
      ),
      ("strawbery and elefant", ["strawbery": "strawberry", "elefant": "elephant"]),
      ("unicron", ["unicron": "unicorn"]),
      ("two foxes", ["two": "two hump camel", "foxes": "fox"]),
      (
        "strawberries, wolves, blue backgrounds",
        [
          "strawberries": "strawberry", "wolves": "wolf", "backgrounds": "background",
        ]
      ), ("a japanese fox", ["japanese": "japanese dolls"]), ("\u{72d0}", ["\u{72d0}": nil]),
    ] as [(String, [String: String?])])
  func nearest(prompt: String, expected: [String: String?]) {
    let unknown = vocabulary.unknownWords(in: prompt)
    #expect(Set(unknown) == Set(expected.keys))
    for word in unknown { #expect(vocabulary.nearest(to: word) == expected[word] ?? nil) }
  }

  @Test("A prompt that names no thing is said to, and each word is named once")
  func advice() {
    let advice = checkpoint.advice(onPrompts: [
      "a castle at sunset, oil painting, masterpiece", "a castle on a blue background", "a fox",
    ])
    let words = advice.filter { $0.code == .unknownWord }.map(\.message)
    #expect(words.count == 4 && words[0].hasPrefix("the starter does not know 'castle'"))
    let subjects = advice.filter { $0.code == .unknownSubject }.map(\.message)
    #expect(
      subjects == [
        "'a castle on a blue background' names none of the 435 things that the starter can draw"
      ])
    #expect(checkpoint.advice(onPrompts: ["a blue background"]).map(\.code) == [.unknownSubject])
    #expect(checkpoint.advice(onPrompts: ["", "  "]) == [])
  }

  @Test("Long lists of unknown words end, and a word of any length costs little")
  func bounded() {
    let words = (0..<400).map { "qzx\($0)w" }.joined(separator: " ")
    let advice = checkpoint.advice(onPrompts: [words])
    #expect(advice.filter { $0.code == .unknownWord }.count == 9)
    #expect(advice.contains { $0.message == "the starter does not know 392 more words" })
    let long = checkpoint.advice(onPrompts: [String(repeating: "q", count: 4000)])
    #expect(long.allSatisfy { $0.message.count < 200 })
  }

  @Test("Random prompts are known")
  func random() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<50 {
      let prompt = vocabulary.randomPrompt(using: &generator)
      #expect(checkpoint.advice(onPrompts: [prompt]) == [], "\(prompt)")
    }
  }

  @Test("Sizes far from the model's own are advised against, nearby ones are not")
  func sizes() {
    #expect(checkpoint.advice(onWidth: 64, height: 64) == [])
    for (width, height) in [(32, 32), (80, 80), (64, 96), (128, 128), (192, 32), (512, 512)] {
      let advice = checkpoint.advice(onWidth: width, height: height)
      #expect(advice.map(\.code) == [.unsuitableSize], "\(width)x\(height)")
    }
    #expect(
      checkpoint.advice(onWidth: 4096, height: 4096).map(\.message) == [
        "the starter was trained for 64x64 pixels; 4096x4096 is outside what it was trained for, "
          + "with 4096 times as many pixels to compute"
      ])
  }

  @Test("A model without a vocabulary has a range of sizes around its own, and takes any prompt")
  func otherModels() throws {
    let folder = try #require(Bundle.module.resourcePath) + "/Fixtures/models/sd"
    let other = try Checkpoint(folder: folder)
    #expect(other.vocabulary == nil && other.advice(onPrompts: ["zxcvb"]) == [])
    let (width, height) = (other.nativeSize.width, other.nativeSize.height)
    for (across, down) in [(4, 4), (3, 3), (6, 6), (4, 6), (6, 4), (8, 4)] {
      #expect(other.advice(onWidth: width * across / 4, height: height * down / 4) == [])
    }
    for (across, down) in [(1, 1), (2, 2), (7, 7), (16, 16), (9, 2)] {
      let advice = other.advice(onWidth: width * across / 4, height: height * down / 4)
      #expect(advice.map(\.code) == [.unsuitableSize], "\(across)x\(down)")
    }
  }

  @Test("A file that is not a vocabulary is named, with what is expected")
  func invalidFiles() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "vocabulary-\(UUID().uuidString).json").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    for text in [
      "", "[]", "{}",
      #"{"subjects": [], "backgrounds": [], "ignored": [], "template": "{subject}"}"#,
      #"{"subjects": [[]], "backgrounds": [], "ignored": [], "template": "{subject}"}"#,
      #"{"subjects": [["a b", "!"]], "backgrounds": [], "ignored": [], "template": "{subject}"}"#,
      #"{"subjects": [["fox"]], "backgrounds": [], "ignored": [], "template": "x"}"#,
      #"{"subjects": [["fox"]], "backgrounds": [], "ignored": [], "template": "{subject}", "sizes": ["64"]}"#,
    ] {
      try Data(text.utf8).write(to: URL(filePath: path))
      let error = #expect(throws: ModelError.self) { try PromptVocabulary(path: path) }
      #expect(error?.code == .fileInvalid && error?.message.contains(path) == true, "\(text)")
    }
  }
}
