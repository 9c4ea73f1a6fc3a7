internal import Foundation

/// The settings of a Qwen tokenizer's files, checked against what this package implements.
struct QwenTokenizerFile {
  /// Rejects a folder whose tokenizer splits, pads or truncates differently.
  static func check(folder: String) throws(TextError) {
    let combinedPath = "\(folder)/tokenizer.json"
    if let file = try TokenizerFile.decodeIfPresent(Combined.self, at: combinedPath) {
      try file.check(path: combinedPath)
    }
    let optionsPath = "\(folder)/tokenizer_config.json"
    if let options = try TokenizerFile.decodeIfPresent(Options.self, at: optionsPath) {
      try options.check(path: optionsPath)
    }
  }

  /// Rejects a vocabulary that lacks a byte or the result of a merge.
  static func check(_ file: TokenizerFile, folder: String) throws(TextError) {
    for character in BytePairEncoding.byteCharacters
    where file.vocabulary[String(character)] == nil {
      throw TextError(
        code: .tokenizerInvalid,
        message: "the vocabulary in '\(folder)' has no '\(character)', which stands for a byte; "
          + "fetch the tokenizer again")
    }
    for (left, right) in file.merges where file.vocabulary[left + right] == nil {
      throw TextError(
        code: .tokenizerInvalid,
        message: "the vocabulary in '\(folder)' has no '\(left + right)', which a merge makes; "
          + "fetch the tokenizer again")
    }
  }

  private static func refused(_ path: String, _ key: String, _ words: String) -> TextError {
    TextError(
      code: .tokenizerInvalid, message: "'\(path)': \(key) is not that of Qwen: expected \(words)")
  }

  private struct Combined: Decodable {
    struct Step: Decodable {
      struct Pattern: Decodable { let Regex: String? }
      let type: String
      let pretokenizers: [Step]?
      let pattern: Pattern?
      let behavior: String?
      let invert: Bool?
      let add_prefix_space: Bool?
      let use_regex: Bool?
    }
    struct Padding: Decodable { let direction: String? }

    let normalizer: Step?
    let pre_tokenizer: Step?
    let padding: Padding?

    func check(path: String) throws(TextError) {
      guard normalizer == nil || normalizer?.type == "NFC" else {
        throw refused(path, "the normalizer", "NFC")
      }
      guard [nil, "Right"].contains(padding?.direction) else {
        throw refused(path, "the padding", "direction \"Right\"")
      }
      guard let cuts = pre_tokenizer else { return }
      let steps = cuts.pretokenizers ?? [cuts]
      guard steps.map(\.type) == ["Split", "ByteLevel"],
        steps[0].pattern?.Regex == QwenWords.expression, steps[0].behavior == "Isolated",
        steps[0].invert != true, steps[1].add_prefix_space != true, steps[1].use_regex == false
      else {
        throw refused(
          path, "the pre_tokenizer", "Split by \(QwenWords.expression) and ByteLevel")
      }
    }
  }

  private struct Options: Decodable {
    let padding_side: String?
    let truncation_side: String?
    let add_prefix_space: Bool?
    let add_bos_token: Bool?
    let split_special_tokens: Bool?

    func check(path: String) throws(TextError) {
      for (key, side) in [("padding_side", padding_side), ("truncation_side", truncation_side)]
      where ![nil, "right"].contains(side) {
        throw refused(path, key, "\"right\"")
      }
      for (key, value) in [
        ("add_prefix_space", add_prefix_space), ("add_bos_token", add_bos_token),
        ("split_special_tokens", split_special_tokens),
      ] where value == true { throw refused(path, key, "false") }
    }
  }
}
