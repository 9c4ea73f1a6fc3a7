internal import Foundation

/// The files of a T5 tokenizer folder, read and validated: `tokenizer.json` or `spiece.model`, and
/// the added tokens of `added_tokens.json`, `special_tokens_map.json` and `tokenizer_config.json`.
struct T5TokenizerFile {
  let pieces: [UnigramModel.Piece]
  let map: PrecompiledMap?
  /// The added tokens by their texts.
  let added: [String: AddedToken]

  /// The texts of the first tokens, in order.
  ///
  /// T5 refers to no other token by its text.
  static let first = ["<pad>", "</s>", "<unk>"]

  init(folder: String) throws(TextError) {
    let combined = "\(folder)/tokenizer.json"
    let options = try TokenizerFile.decodeIfPresent(
      Options.self, at: "\(folder)/tokenizer_config.json")
    let path: String
    var pieces: [UnigramModel.Piece]
    var additions = TokenizerFile.Additions()
    let mapBytes: [UInt8]
    if FileManager.default.fileExists(atPath: combined) {
      path = combined
      let file = try TokenizerFile.decode(Combined.self, at: combined)
      pieces = file.model.vocab.map { UnigramModel.Piece(text: $0.text, score: $0.score) }
      additions.listed = file.added_tokens ?? []
      mapBytes = try file.map(path: path)
    } else {
      path = "\(folder)/spiece.model"
      guard FileManager.default.fileExists(atPath: path) else {
        throw TextError(
          code: .fileUnreadable,
          message: "'\(folder)' has neither tokenizer.json nor spiece.model; fetch the tokenizer "
            + "again")
      }
      let bytes = try TokenizerFile.bytes(at: path)
      do {
        let file = try SentencePieceFile(bytes)
        pieces = file.pieces + Self.sentinels(count: options?.extra_ids ?? 100)
        mapBytes = Array(file.map)
      } catch { throw Self.invalid(path, error.words) }
    }
    try Self.check(pieces, path: path)
    self.pieces = pieces
    do { map = mapBytes.isEmpty ? nil : try PrecompiledMap(mapBytes) } catch {
      throw Self.invalid(path, "has a map of characters that \(error.words)")
    }
    additions.plain =
      try TokenizerFile.decodeIfPresent([String: Int].self, at: "\(folder)/added_tokens.json")
      ?? [:]
    let named = try TokenizerFile.decodeIfPresent(
      TokenizerFile.Names.self, at: "\(folder)/special_tokens_map.json")
    let other = try TokenizerFile.decodeIfPresent(
      TokenizerFile.Names.self, at: "\(folder)/tokenizer_config.json")
    additions.numbered = other?.added_tokens_decoder ?? [:]
    let sentinels = pieces.map(\.text).filter { $0.hasPrefix("<extra_id_") }
    additions.special =
      (Self.first + sentinels).map { TokenizerFile.Addition(text: $0) }
      + TokenizerFile.Names.special(named, other)
    let vocabulary = Dictionary(
      pieces.enumerated().map { ($1.text, $0) }, uniquingKeysWith: { $1 })
    do { added = try additions.merged(vocabulary: vocabulary) } catch {
      throw TextError(
        code: .tokenizerInvalid, message: "the added tokens in '\(folder)' \(error.words)")
    }
  }

  /// The sentinel tokens, which stand for masked spans; a model file has none of them.
  private static func sentinels(count: Int) -> [UnigramModel.Piece] {
    (0..<min(max(count, 0), 10_000)).reversed()
      .map { UnigramModel.Piece(text: "<extra_id_\($0)>", score: 0) }
  }

  private static func check(
    _ pieces: [UnigramModel.Piece], path: String
  ) throws(TextError) {
    guard pieces.prefix(first.count).map(\.text) == first else {
      throw invalid(
        path, "does not begin with the tokens \(first.joined(separator: ", ")), as T5's does")
    }
    guard pieces.count <= 10_000_000 else { throw invalid(path, "has \(pieces.count) tokens") }
    if let index = pieces.firstIndex(where: { $0.text.isEmpty || !$0.score.isFinite }) {
      throw invalid(path, "has a token \(index) without a text, or whose score is not a number")
    }
  }

  private static func invalid(_ path: String, _ words: String) -> TextError {
    TextError(
      code: .tokenizerInvalid, message: "'\(path)' \(words); fetch the tokenizer again")
  }

  private struct Options: Decodable {
    let extra_ids: Int?
  }

  private struct Combined: Decodable {
    struct Model: Decodable {
      let type: String?
      let unk_id: Int?
      let byte_fallback: Bool?
      let vocab: [ScoredText]
    }
    let model: Model
    let normalizer: Step?
    let pre_tokenizer: Step?
    let added_tokens: [TokenizerFile.Addition]?

    /// The bytes of the map, after validation of everything else that affects the tokens.
    func map(path: String) throws(TextError) -> [UInt8] {
      guard [nil, "Unigram"].contains(model.type), [nil, 2].contains(model.unk_id),
        model.byte_fallback != true
      else {
        throw invalid(path, "is not a unigram model whose token 2 is <unk>, as T5's is")
      }
      // White space is stripped and collapsed when the text is split at it.
      let normalizers = normalizer?.steps ?? []
      let cuts = pre_tokenizer?.steps ?? []
      for step in normalizers + cuts
      where !["Precompiled", "Strip", "Replace", "WhitespaceSplit", "Metaspace"].contains(step.type)
      {
        throw invalid(path, "has a step '\(step.type)', which T5's tokenizer does not use")
      }
      if let step = normalizers.first(where: {
        $0.type == "Replace" && ($0.pattern?.Regex != " {2,}" || $0.content != "▁")
      }) {
        throw invalid(
          path, "replaces '\(step.pattern?.Regex ?? "")', which T5's tokenizer does not")
      }
      if let step = cuts.first(where: { $0.type == "Metaspace" && $0.replacement != "▁" }) {
        throw invalid(path, "marks words with '\(step.replacement ?? "")', and T5's with '▁'")
      }
      guard let map = normalizers.compactMap(\.precompiled_charsmap).first else { return [] }
      guard let data = Data(base64Encoded: map) else {
        throw invalid(path, "has a map of characters that is not base64")
      }
      return Array(data)
    }
  }

  /// A step of a normalizer or of a pre-tokenizer; a sequence has nested steps.
  private struct Step: Decodable {
    struct Pattern: Decodable { let Regex: String? }
    let type: String
    let normalizers: [Step]?
    let pretokenizers: [Step]?
    let precompiled_charsmap: String?
    let pattern: Pattern?
    let content: String?
    let replacement: String?

    /// The steps in order; a single step if it is not a sequence.
    var steps: [Step] {
      type == "Sequence" ? ((normalizers ?? []) + (pretokenizers ?? [])).flatMap(\.steps) : [self]
    }
  }

  /// A pair of a text and a score.
  private struct ScoredText: Decodable {
    let text: String
    let score: Double

    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      text = try container.decode(String.self)
      score = try container.decode(Double.self)
    }
  }
}
