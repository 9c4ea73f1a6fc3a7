/// The phrases and sizes that a small model was trained on, for a model that does not handle
/// arbitrary prompts.
///
/// A model contains one as `streamflow-vocabulary.json` beside `model_index.json`: an object with
/// `subjects` (an array of arrays: a name followed by alternatives), `backgrounds`, `ignored`
/// (words that a prompt may contain without being drawn), `template`, such as `"{subject} on a
/// {background} background"`, and optionally `sizes`, such as `["64x64"]`, `subjectLimit` (the
/// number of different subjects that an image may contain; default 1), `correctsSpelling` (whether
/// typing errors are corrected; default false) and `otherWords` (words of the language that are
/// not taken for typing errors).
///
/// Words are compared in lower case and without punctuation. A plural is a different word: a model
/// that was trained on `fox` alone does not draw `foxes`.
public struct PromptVocabulary: Equatable, Sendable {
  /// A subject that the model draws.
  public struct Subject: Equatable, Sendable {
    /// Its name.
    public let name: String
    /// Alternative phrases for it.
    public let otherNames: [String]
  }

  /// The subjects that the model draws, in the order of the file.
  public let subjects: [Subject]
  /// The backgrounds of its images.
  public let backgrounds: [String]
  /// The template of prompts, with `{subject}` and `{background}`.
  public let template: String
  /// The sizes in pixels that it draws well; if empty, all sizes near its own.
  public let sizes: [(width: Int, height: Int)]

  /// The number of different subjects that one image may contain.
  public let subjectLimit: Int
  /// Whether an unknown word that looks like a typing error is read as the word it stands for.
  public let correctsSpelling: Bool

  /// Words that are never reported and draw nothing.
  let ignored: Set<String>
  /// Unknown words that are not typing errors.
  let otherWords: Set<String>
  /// The words of all phrases, and the backgrounds.
  let words: Set<String>
  /// The positions of the subjects that each phrase may mean.
  private let phrases: [[String]: Set<Int>]
  /// The number of words of the longest phrase.
  let phraseLimit: Int
  /// The names, backgrounds and ignored words.
  let wholes: Set<String>
  /// The spellings of the words that others are compared with.
  let spellings: [Spelling]

  init(
    subjects: [Subject], backgrounds: [String], ignored: [String], template: String,
    sizes: [(width: Int, height: Int)] = [], subjectLimit: Int = 1,
    correctsSpelling: Bool = false, otherWords: [String] = []
  ) {
    self.subjects = subjects
    self.backgrounds = backgrounds
    self.ignored = Set(ignored)
    self.template = template
    self.sizes = sizes
    self.subjectLimit = subjectLimit
    self.correctsSpelling = correctsSpelling
    self.otherWords = Set(otherWords)
    wholes = Set(subjects.flatMap { [$0.name] + $0.otherNames }).union(backgrounds).union(ignored)
    var phrases: [[String]: Set<Int>] = [:]
    for (index, subject) in subjects.enumerated() {
      for name in [subject.name] + subject.otherNames {
        phrases[PromptWord.pieces(of: name), default: []].insert(index)
      }
    }
    self.phrases = phrases
    phraseLimit = phrases.keys.map(\.count).max() ?? 0
    words = Set(phrases.keys.joined()).union(backgrounds.flatMap { PromptWord.pieces(of: $0) })
    spellings = words.union(self.ignored).filter(Spelling.isWord).map(Spelling.init)
  }

  /// Whether two vocabularies are equal.
  public static func == (left: Self, right: Self) -> Bool {
    left.subjects == right.subjects && left.backgrounds == right.backgrounds
      && left.template == right.template && left.ignored == right.ignored
      && left.sizes.elementsEqual(right.sizes, by: ==)
      && left.subjectLimit == right.subjectLimit && left.otherWords == right.otherWords
      && left.correctsSpelling == right.correctsSpelling
  }

  /// The names of all subjects.
  var phraseTexts: [String] { subjects.flatMap { [$0.name] + $0.otherNames } }

  /// Whether some words are a name.
  func isPhrase(_ words: ArraySlice<String>) -> Bool { phrases[Array(words)] != nil }

  // MARK: - Reading prompts

  /// The interpretation of a prompt.
  package struct Reading: Equatable {
    /// The words that belong to no known phrase, in order, each once, in lower case.
    package var unknownWords: [String] = []
    /// The named subjects in order: the positions that each phrase may mean.
    package var subjects: [Set<Int>] = []
  }

  /// The words of a prompt that the model was not trained on, or knows only as parts of longer
  /// names: in order, each once, in lower case.
  ///
  /// - Parameter prompt: the prompt without weight markup.
  public func unknownWords(in prompt: String) -> [String] { reading(of: prompt).unknownWords }

  /// The subjects in a prompt that the model draws, in order.
  ///
  /// - Parameter prompt: the prompt without weight markup.
  public func subjects(in prompt: String) -> [Subject] {
    reading(of: prompt).subjects.compactMap { $0.min().map { subjects[$0] } }
  }

  /// Interprets a prompt without weight markup: at each word, the longest known phrase.
  package func reading(of prompt: String) -> Reading {
    let words = PromptWord.words(of: prompt)
    let isPlace = backgroundPlaces(words)
    var reading = Reading()
    var colors: [Set<Int>] = []
    var seen: Set<String> = []
    var index = 0
    while index < words.count {
      guard !isPlace[index] else {
        index += 1
        continue
      }
      let longest = min(phraseLimit, words.count - index)
      let count = stride(from: longest, to: 0, by: -1).first { count in
        !isPlace[index..<index + count].contains(true)
          && phrases[words[index..<index + count].map(\.spelling)] != nil
      }
      guard let count, let found = phrases[words[index..<index + count].map(\.spelling)] else {
        let word = words[index].spelling
        if !ignored.contains(word), !backgrounds.contains(word), seen.insert(word).inserted {
          reading.unknownWords.append(word)
        }
        index += 1
        continue
      }
      // "an orange fox" contains one subject, "an orange" another.
      let isColor = count == 1 && backgrounds.contains(words[index].spelling)
      add(found, to: &colors, if: isColor)
      add(found, to: &reading.subjects, if: !isColor)
      index += count
    }
    if reading.subjects.isEmpty { reading.subjects = colors }
    return reading
  }

  /// Adds a subject, or narrows one that is named again.
  private func add(_ found: Set<Int>, to subjects: inout [Set<Int>], if isMeant: Bool) {
    guard isMeant else { return }
    if let index = subjects.firstIndex(where: { !$0.isDisjoint(with: found) }) {
      subjects[index].formIntersection(found)
    } else {
      subjects.append(found)
    }
  }

  /// Whether each word is a background in a suitable position: `on (a) red`, `red background`.
  private func backgroundPlaces(_ words: [PromptWord]) -> [Bool] {
    var before = ""
    return words.indices.map { index in
      let word = words[index].spelling
      let next = index + 1 < words.count ? words[index + 1].spelling : ""
      let isPlace = backgrounds.contains(word) && (next == "background" || before == "on")
      if !["a", "an", "the"].contains(word) { before = word }
      return isPlace
    }
  }

  // MARK: - Writing prompts

  /// The prompt of a subject on a background.
  public func prompt(of subject: Subject, on background: String) -> String {
    let isVowel = subject.name.first.map { "aeiou".contains($0) } ?? false
    return template.replacing("{background}", with: background)
      .replacing("{subject}", with: "\(isVowel ? "an" : "a") \(subject.name)")
  }

  /// A random prompt that the model knows.
  ///
  /// - Parameter generator: the random number generator.
  public func randomPrompt(using generator: inout some RandomNumberGenerator) -> String {
    guard let subject = subjects.randomElement(using: &generator) else { return "" }
    let background = backgrounds.randomElement(using: &generator) ?? ""
    return prompt(of: subject, on: background)
  }
}
