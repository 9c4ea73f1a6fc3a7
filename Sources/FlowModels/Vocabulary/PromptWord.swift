/// A word of a prompt.
struct PromptWord: Equatable {
  /// The word in lower case.
  let spelling: String

  /// The words of a text: its runs of letters and digits.
  ///
  /// A possessive `'s` is dropped.
  static func words(of text: String) -> [PromptWord] {
    let isApostrophe: (Character) -> Bool = { $0 == "'" || $0 == "\u{2019}" }
    return text.lowercased().split { !$0.isLetter && !$0.isNumber && !isApostrophe($0) }
      .flatMap { run in
        run.split(whereSeparator: isApostrophe).enumerated()
          .filter { $0.offset == 0 || $0.element != "s" }.map {
            PromptWord(spelling: String($0.element))
          }
      }
  }

  /// The spellings of a text's words.
  static func pieces(of text: String) -> [String] { words(of: text).map(\.spelling) }

  /// Possible forms of an English word in the other grammatical number, singulars first.
  static func otherNumbers(of word: String) -> [String] {
    var forms: [String] = []
    func replace(_ ending: String, with other: String) {
      guard word.count > ending.count + 1, word.hasSuffix(ending) else { return }
      forms.append(word.dropLast(ending.count) + other)
    }
    if !word.hasSuffix("ss") { replace("s", with: "") }
    replace("es", with: "")
    replace("ies", with: "y")
    replace("ves", with: "f")
    replace("ves", with: "fe")
    guard word.count > 2 else { return forms }
    let takesES = ["s", "x", "z", "o", "ch", "sh"].contains(where: word.hasSuffix)
    return forms + [word + "s"] + (takesES ? [word + "es"] : [])
  }
}
