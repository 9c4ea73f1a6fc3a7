import FlowTestSupport
import Foundation
import Testing

@testable import FlowText

@Suite struct T5TokenizerTests {
  private static func file(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: Bundle.module.fixture("t5/\(name)"))))
  }

  /// A folder of the tokenizer's files, one of them changed.
  private static func folder(
    _ names: [String], changing: ([UInt8]) -> [UInt8] = { $0 }
  ) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for name in names { _ = try folder.write(changing(file(name)), as: name) }
    return folder
  }

  @Test(
    "3,500 texts give transformers' tokens, whichever file the tokenizer is read from",
    arguments: ["tokenizer.json", "spiece.model"])
  func transformers(name: String) throws {
    let folder = try Self.folder([name])
    let tokenizer = try T5Tokenizer(folder: folder.path)
    try TokenCorpus("t5").expect { text in
      let prompt = tokenizer.encode(text, length: TokenCorpus.length)
      #expect(prompt.tokens.count == TokenCorpus.length)
      #expect(prompt.tokens[(prompt.endIndex + 1)...].allSatisfy { $0 == 0 })
      return Array(prompt.tokens[...prompt.endIndex])
    }
  }
}
