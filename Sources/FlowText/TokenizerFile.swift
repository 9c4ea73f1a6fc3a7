internal import Foundation

/// The files of a tokenizer folder, read and validated.
struct TokenizerFile {
  let vocabulary: [String: Int]
  let merges: [(String, String)]
  /// The text of the padding token, if the files specify it.
  let paddingText: String?
  /// The trained sequence length, if the files specify it.
  let maximumLength: Int?

  /// The added tokens by their texts.
  let added: [String: AddedToken]

  /// - Parameters:
  ///   - folder: the folder.
  ///   - padding: the padding token; the default is what the files specify.
  init(folder: String, padding: String? = nil) throws(TextError) {
    let vocabularyPath = "\(folder)/vocab.json"
    let combinedPath = "\(folder)/tokenizer.json"
    var additions = Additions()
    if FileManager.default.fileExists(atPath: vocabularyPath) {
      vocabulary = try Self.decode([String: Int].self, at: vocabularyPath)
      merges = try Self.merges(at: "\(folder)/merges.txt")
      additions.listed =
        try Self.decodeIfPresent(AddedList.self, at: combinedPath)?.added_tokens ?? []
    } else {
      let file = try Self.decode(Combined.self, at: combinedPath)
      vocabulary = file.model.vocab
      merges = file.model.merges.map { ($0.left, $0.right) }
      additions.listed = file.added_tokens ?? []
    }
    let named = try Self.decodeIfPresent(Names.self, at: "\(folder)/special_tokens_map.json")
    let options = try Self.decodeIfPresent(Names.self, at: "\(folder)/tokenizer_config.json")
    paddingText = padding ?? named?.pad_token?.text ?? options?.pad_token?.text
    // Absent limits are written as 1e30.
    maximumLength = options?.model_max_length.flatMap { Int(exactly: $0) }
      .flatMap { (2...1_000_000).contains($0) ? $0 : nil }
    additions.plain =
      try Self.decodeIfPresent([String: Int].self, at: "\(folder)/added_tokens.json") ?? [:]
    additions.numbered = options?.added_tokens_decoder ?? [:]
    additions.special =
      ["<|startoftext|>", "<|endoftext|>"].map { Addition(text: $0) }
      + Names.special(named, options) + (padding.map { [Addition(text: $0)] } ?? [])
    do { added = try additions.merged(vocabulary: vocabulary) } catch {
      throw TextError(
        code: .tokenizerInvalid, message: "the added tokens in '\(folder)' \(error.words)")
    }
  }

  /// The id of a token of the vocabulary or an added token.
  func token(_ text: String) -> Int? { added[text]?.token ?? vocabulary[text] }

  private static func merges(at path: String) throws(TextError) -> [(String, String)] {
    let lines = try text(at: path).split(whereSeparator: \.isNewline)
    let merges = lines.first?.hasPrefix("#version") == true ? lines.dropFirst() : lines[...]
    return try merges.map { line throws(TextError) in
      let parts = line.split(separator: " ")
      guard parts.count == 2 else {
        throw TextError(
          code: .tokenizerInvalid,
          message: "'\(path)': a merge is two texts and a space, got '\(line)'")
      }
      return (String(parts[0]), String(parts[1]))
    }
  }

  static func decodeIfPresent<Content: Decodable>(
    _ type: Content.Type, at path: String
  ) throws(TextError) -> Content? {
    FileManager.default.fileExists(atPath: path) ? try decode(type, at: path) : nil
  }

  static func decode<Content: Decodable>(
    _ type: Content.Type, at path: String
  ) throws(TextError) -> Content {
    let text = try text(at: path)
    do { return try JSONDecoder().decode(type, from: Data(text.utf8)) } catch {
      throw TextError(
        code: .tokenizerInvalid,
        message: "'\(path)' is not a valid tokenizer file: \(error); fetch it again")
    }
  }

  /// The contents of a file that is not a Git LFS pointer.
  static func bytes(at path: String) throws(TextError) -> [UInt8] {
    let data: Data
    do { data = try Data(contentsOf: URL(filePath: path)) } catch {
      throw TextError(
        code: .fileUnreadable, message: "cannot read '\(path)': \(error.localizedDescription)")
    }
    guard !GitLFSPointer.isPointer(data) else {
      throw TextError(code: .tokenizerInvalid, message: "'\(path)' \(GitLFSPointer.problem)")
    }
    return Array(data)
  }

  private static func text(at path: String) throws(TextError) -> String {
    let bytes = try bytes(at: path)
    do { return try DecodedText(bytes).text } catch {
      throw TextError(code: .tokenizerInvalid, message: "'\(path)' is not text: \(error.message)")
    }
  }

  private struct Combined: Decodable {
    struct Model: Decodable {
      let vocab: [String: Int]
      let merges: [Merge]
    }
    let model: Model
    let added_tokens: [Addition]?
  }

  /// The added tokens of `tokenizer.json`, without the rest of the file.
  private struct AddedList: Decodable {
    let added_tokens: [Addition]?
  }

  /// A merge as "a b", or as ["a", "b"] since tokenizers 0.20.
  private struct Merge: Decodable {
    let left: String
    let right: String

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      let parts =
        if let text = try? container.decode(String.self) {
          text.split(separator: " ").map(String.init)
        } else {
          try container.decode([String].self)
        }
      guard parts.count == 2 else {
        throw DecodingError.dataCorruptedError(
          in: container, debugDescription: "a merge is two texts, got \(parts)")
      }
      (left, right) = (parts[0], parts[1])
    }
  }

  /// The special tokens in `special_tokens_map.json` and `tokenizer_config.json`.
  struct Names: Decodable {
    let bos_token: Addition?
    let eos_token: Addition?
    let unk_token: Addition?
    let pad_token: Addition?
    let additional_special_tokens: [Addition]?
    let extra_special_tokens: SpecialList?
    let model_max_length: Double?
    let added_tokens_decoder: [String: Addition]?

    /// The special tokens of both files.
    ///
    /// For each role, the first file takes precedence.
    static func special(_ first: Names?, _ second: Names?) -> [Addition] {
      let roles = [\Names.bos_token, \.eos_token, \.unk_token, \.pad_token]
      let extra = [first, second].compactMap(\.self).flatMap {
        ($0.additional_special_tokens ?? []) + ($0.extra_special_tokens?.tokens ?? [])
      }
      return roles.compactMap { first?[keyPath: $0] ?? second?[keyPath: $0] } + extra
    }
  }

  /// A list of special tokens, or an object of special tokens by role.
  struct SpecialList: Decodable {
    let tokens: [Addition]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      tokens =
        if let list = try? container.decode([Addition].self) { list } else {
          try container.decode([String: Addition].self).sorted { $0.key < $1.key }.map(\.value)
        }
    }
  }
}
