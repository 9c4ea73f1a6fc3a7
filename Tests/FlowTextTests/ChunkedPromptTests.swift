import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

@Suite struct ChunkedPromptTests {
  private struct Line: Decodable {
    let text: String
    let length: Int
    let tokens: [[Int]]
    let weights: [[Float]]
  }

  private let tokenizer: CLIPTokenizer

  init() throws {
    tokenizer = try CLIPTokenizer(folder: "\(Starter64.folder)/tokenizer")
  }

  private func encode(_ prompt: String, length: Int = 24, limit: Int = 8) -> ChunkedPrompt {
    tokenizer.encode(WeightedPrompt(parsing: prompt), length: length, chunkLimit: limit)
  }

  private func content(_ chunk: ChunkedPrompt.Chunk) -> [Int] {
    Array(chunk.tokens[1..<chunk.endIndex])
  }

  @Test("Prompts of every sign and length give the golden chunks and weights")
  func golden() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("prompts.json")))
    let lines = try JSONDecoder().decode([Line].self, from: data)
    #expect(lines.count == 282)
    for line in lines {
      let encoded = encode(line.text, length: line.length)
      let start = tokenizer.start
      let end = tokenizer.end
      let expected = line.tokens.map { tokens in
        [start] + tokens + [Int](repeating: end, count: line.length - 1 - tokens.count)
      }
      #expect(encoded.chunks.map(\.tokens) == expected, "\(line.text.debugDescription)")
      #expect(encoded.cut == nil)
      for (chunk, weights) in zip(encoded.chunks, line.weights) {
        // Written with eight digits, and multiplied in another order.
        expectClose(
          Array(chunk.weights[1..<weights.count + 1]), weights, tolerance: 1e-5)
        #expect(
          chunk.weights[0] == 1 && chunk.weights[(weights.count + 1)...].allSatisfy { $0 == 1 })
      }
    }
  }

  @Test("A prompt without signs that fits is the chunk that plain text is")
  func plain() {
    for prompt in ["", "a fox", "a fox, isn't it: 🐙!"] {
      let plain = ChunkedPrompt(tokenizer.encode(prompt, length: 24))
      #expect(encode(prompt) == plain)
      #expect(plain.chunks.count == 1 && plain.chunks[0].isUnweighted)
    }
  }

  @Test("A full chunk ends after a comma among its last 20 tokens, and else where it is full")
  func commas() {
    func sizes(_ prompt: String) -> [Int] { encode(prompt, length: 32).chunks.map(\.endIndex) }
    let fox = Array(repeating: "fox", count: 60)
    #expect(content(encode("fox").chunks[0]).count == 1)
    func prompt(commaAt place: Int, of count: Int) -> String {
      (fox[..<place] + [","] + fox[..<(count - place - 1)]).joined(separator: " ")
    }
    // 30 tokens have room; EOS follows them.
    #expect(sizes(prompt(commaAt: 9, of: 40)) == [31, 11])
    #expect(sizes(prompt(commaAt: 10, of: 40)) == [12, 30])
    #expect(sizes(prompt(commaAt: 29, of: 40)) == [31, 11])
    #expect(sizes(prompt(commaAt: 30, of: 40)) == [31, 11])
    #expect(sizes(prompt(commaAt: 10, of: 30)) == [31])
    #expect(sizes(fox.joined(separator: " ")) == [31, 31])
  }

  @Test("BREAK ends a chunk, and the padding after it weighs nothing more")
  func breaks() {
    let encoded = encode("(a fox BREAK red:2)")
    #expect(encoded.chunks.map(\.endIndex) == [3, 2])
    #expect(encoded.chunks[1].weights == [1, 2] + [Float](repeating: 1, count: 22))
    #expect(encode("a BREAK").chunks.count == 1)
    #expect(encode("BREAK a").chunks.map(\.endIndex) == [1, 2])
  }

  @Test("What the last chunk has no room for is named, to the end of the prompt")
  func cut() {
    let long = encode(String(repeating: "fox ", count: 50) + "(red) BREAK blue", limit: 2)
    #expect(long.chunks.count == 2)
    #expect(long.cut == "fox fox fox fox fox fox red blue")
    #expect(encode("a BREAK b BREAK c, d", limit: 2).cut == "c , d")
    // In the last chunk a comma carries nothing away: there is nowhere to.
    let commas = encode("fox, " + String(repeating: "fox ", count: 30), limit: 1)
    #expect(commas.chunks[0].endIndex == 23)
    #expect(encode("fox", length: 2).cut == "fox")
    #expect(encode(String(repeating: "fox ", count: 600), length: 77).cut == nil)
    #expect(encode(String(repeating: "fox ", count: 601), length: 77).cut == "fox")
  }

  @Test("Any characters in any order come to chunks of the length that was asked for")
  func random() {
    var generator = SeededGenerator(state: 9)
    let signs = ["(", ")", "[", "]", ":1.2)", "\\", " BREAK ", "fox ", ", ", "<|endoftext|>", "é🦊"]
    for _ in 0..<300 {
      let count = Int.random(in: 0..<80, using: &generator)
      let prompt = (0..<count).map { _ in signs.randomElement(using: &generator) ?? "" }.joined()
      for length in [2, 3, 12] {
        let chunks = encode(prompt, length: length, limit: 3).chunks
        #expect((1...3).contains(chunks.count))
        for chunk in chunks {
          #expect(chunk.tokens.count == length && chunk.weights.count == length)
          #expect(chunk.tokens.indices.contains(chunk.endIndex))
        }
      }
    }
  }
}
