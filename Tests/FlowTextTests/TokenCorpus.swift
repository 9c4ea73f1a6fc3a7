import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

/// 2,000 lines of every script and 1,500 texts that are made to break a tokenizer, and the tokens
/// that transformers gives for them (`Scripts/fixtures/text_tokenizers.py`).
struct TokenCorpus {
  private struct Line: Decodable { let text: String }

  /// The tokens that a prompt is truncated to.
  static let length = 32

  /// The texts, and their tokens without padding.
  let lines: [(text: String, tokens: [Int])]

  /// - Parameter folder: the tokenizer's, among the fixtures.
  init(_ folder: String) throws {
    func data(_ name: String) throws -> Data {
      try Data(contentsOf: URL(filePath: Bundle.module.fixture(name)))
    }
    let texts =
      try JSONDecoder().decode([Line].self, from: data("tokens.json")).map(\.text)
      + JSONDecoder().decode([String].self, from: data("hostile.json"))
    let golden = try Golden("\(folder)/tokens.safetensors", in: .module)
    let tokens = try golden.floats("tokens").map { Int($0) }
    var start = 0
    lines = try zip(texts, golden.floats("counts")).map { text, count in
      defer { start += Int(count) }
      return (text, Array(tokens[start..<start + Int(count)]))
    }
  }

  /// Expects a tokenizer to give the tokens.
  func expect(_ tokens: (_ text: String) -> [Int]) {
    #expect(lines.count == 3500)
    for line in lines {
      #expect(tokens(line.text) == line.tokens, "\(line.text.debugDescription)")
    }
  }
}
