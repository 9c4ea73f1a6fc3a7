extension TokenizerFile {
  /// An added token in the files' notation: its text, or an object with its options.
  struct Addition: Decodable {
    private struct Object: Decodable {
      let content: String
      let id: Int?
      let lstrip: Bool?
      let rstrip: Bool?
      let single_word: Bool?
      let normalized: Bool?
      let special: Bool?
    }

    let text: String
    let id: Int?
    private let object: Object?

    init(text: String) {
      self.text = text
      id = nil
      object = nil
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      let plain = try? container.decode(String.self)
      object = plain == nil ? try container.decode(Object.self) : nil
      text = plain ?? object?.content ?? ""
      id = object?.id
    }

    /// The token of an id.
    ///
    /// By default, special tokens are not normalized and others are.
    func token(_ id: Int, isSpecial: Bool) -> AddedToken {
      AddedToken(
        content: text, token: id, stripsLeft: object?.lstrip ?? false,
        stripsRight: object?.rstrip ?? false, isSingleWord: object?.single_word ?? false,
        isNormalized: object?.normalized ?? !(object?.special ?? isSpecial))
    }
  }

  /// The added tokens of all files in a folder.
  struct Additions {
    /// `added_tokens.json`: ids by text.
    var plain: [String: Int] = [:]
    /// `added_tokens` of `tokenizer.json`.
    var listed: [Addition] = []
    /// `added_tokens_decoder` of `tokenizer_config.json`, whose keys are ids.
    var numbered: [String: Addition] = [:]
    /// The special tokens; of several with equal text, the last wins.
    var special: [Addition] = []

    /// All added tokens by text, in transformers' order of precedence.
    func merged(vocabulary: [String: Int]) throws(Problem) -> [String: AddedToken] {
      let specialTexts = Set(special.map(\.text))
      var tokens: [String: AddedToken] = [:]
      func add(_ addition: Addition, _ id: Int) throws(Problem) {
        guard (0..<Int(Int32.max)).contains(id) else {
          throw Problem(words: "give '\(addition.text)' the id \(id), which is out of range")
        }
        tokens[addition.text] = addition.token(
          id, isSpecial: specialTexts.contains(addition.text))
      }
      for (text, id) in plain { try add(Addition(text: text), id) }
      for addition in listed {
        guard let id = addition.id else {
          throw Problem(words: "list '\(addition.text)' without an id")
        }
        try add(addition, id)
      }
      for (key, addition) in numbered.sorted(by: { $0.key < $1.key }) {
        guard let id = Int(key) else {
          throw Problem(words: "give '\(addition.text)' the id '\(key)', which is not a number")
        }
        try add(addition, id)
      }
      var next = max(vocabulary.values.max() ?? -1, tokens.values.map(\.token).max() ?? -1) + 1
      let known = Set(tokens.keys)
      for addition in special where !known.contains(addition.text) {
        if let id = tokens[addition.text]?.token ?? vocabulary[addition.text] {
          try add(addition, id)
        } else if !["<|startoftext|>", "<|endoftext|>"].contains(addition.text) {
          try add(addition, next)
          next += 1
        }
      }
      return tokens
    }
  }

  /// Why the added tokens are invalid, as the end of a sentence.
  struct Problem: Error {
    let words: String
  }
}
