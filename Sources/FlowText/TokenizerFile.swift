internal import Foundation

/// The files of a tokenizer folder, read and checked.
struct TokenizerFile {
  private(set) var vocabulary: [String: Int]
  let merges: [(String, String)]
  /// The text of the padding token, where the files say.
  let paddingText: String?
  /// The length that the model was trained with, where the files say.
  let maximumLength: Int?

  init(folder: String) throws(TextError) {
    let vocabularyPath = "\(folder)/vocab.json"
    if FileManager.default.fileExists(atPath: vocabularyPath) {
      vocabulary = try Self.decode([String: Int].self, at: vocabularyPath)
      merges = try Self.merges(at: "\(folder)/merges.txt")
    } else {
      let file = try Self.decode(Combined.self, at: "\(folder)/tokenizer.json")
      vocabulary = file.model.vocab
      for added in file.added_tokens ?? [] { vocabulary[added.content] = added.id }
      merges = file.model.merges.map { ($0.left, $0.right) }
    }
    let named = try Self.decodeIfPresent(Names.self, at: "\(folder)/special_tokens_map.json")
    let options = try Self.decodeIfPresent(Names.self, at: "\(folder)/tokenizer_config.json")
    paddingText = named?.pad_token?.text ?? options?.pad_token?.text
    // Absent limits are written as 1e30.
    maximumLength = options?.model_max_length.flatMap { Int(exactly: $0) }
      .flatMap { (2...1_000_000).contains($0) ? $0 : nil }
  }

  private static func merges(at path: String) throws(TextError) -> [(String, String)] {
    let lines = String(decoding: try read(path), as: UTF8.self).split(whereSeparator: \.isNewline)
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

  private static func decodeIfPresent<Content: Decodable>(
    _ type: Content.Type, at path: String
  ) throws(TextError) -> Content? {
    FileManager.default.fileExists(atPath: path) ? try decode(type, at: path) : nil
  }

  private static func decode<Content: Decodable>(
    _ type: Content.Type, at path: String
  ) throws(TextError) -> Content {
    let data = try read(path)
    do { return try JSONDecoder().decode(type, from: data) } catch {
      throw TextError(
        code: .tokenizerInvalid,
        message: "'\(path)' is no such file of a CLIP tokenizer: \(error); fetch it again")
    }
  }

  private static func read(_ path: String) throws(TextError) -> Data {
    do { return try Data(contentsOf: URL(filePath: path)) } catch {
      throw TextError(
        code: .fileUnreadable, message: "cannot read '\(path)': \(error.localizedDescription)")
    }
  }

  private struct Combined: Decodable {
    struct Model: Decodable {
      let vocab: [String: Int]
      let merges: [Merge]
    }
    struct Added: Decodable {
      let content: String
      let id: Int
    }
    let model: Model
    let added_tokens: [Added]?
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

  private struct Names: Decodable {
    let pad_token: SpecialText?
    let model_max_length: Double?
  }

  /// A special token as its text, or as an object with it.
  private struct SpecialText: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
      struct Object: Decodable { let content: String }
      let container = try decoder.singleValueContainer()
      text =
        if let text = try? container.decode(String.self) { text } else {
          try container.decode(Object.self).content
        }
    }
  }
}
