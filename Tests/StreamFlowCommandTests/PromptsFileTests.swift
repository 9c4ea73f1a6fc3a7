import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlowCommand

/// `--prompts-file`, and prompts that are not used as they are written.
@Suite(.tags(.process)) struct PromptsFileTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private struct Report: Decodable {
    struct Picture: Decodable { let prompt: String }
    let pictures: [Picture]
  }

  private func prompts(_ bytes: [UInt8]) throws -> [String] {
    _ = try runner.folder.write(bytes, as: "prompts.txt")
    let outcome = try runner.run(["generate", "--prompts-file", "prompts.txt", "--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8)).pictures
      .map(\.prompt)
  }

  @Test("Byte-order marks and comments are no prompts")
  func marks() throws {
    let text = "fox\r\n# a comment\r\n  \r\n\\#1 rocket\r\n"
    #expect(try prompts([0xef, 0xbb, 0xbf] + Array(text.utf8)) == ["fox", "#1 rocket"])
    let wide = text.utf16.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
    #expect(try prompts([0xff, 0xfe] + wide) == ["fox", "#1 rocket"])
  }

  @Test(
    "What is not text is refused by its line",
    arguments: [
      (
        [0x66, 0x6f, 0x78, 0x0a, 0xe9, 0x0a],
        "error: 'prompts.txt': line 2 is not UTF-8 (byte 0xE9)"
      ),
      ([0x66, 0x00, 0x6f, 0x00], "error: 'prompts.txt': line 1 has a NUL byte and is not text"),
    ] as [([UInt8], String)])
  func refused(bytes: [UInt8], expected: String) throws {
    _ = try runner.folder.write(bytes, as: "prompts.txt")
    let outcome = try runner.run(["generate", "--prompts-file", "prompts.txt"])
    #expect(outcome.status == 65 && outcome.error.hasPrefix(expected), "\(outcome.error)")
  }

  @Test("A folder, and a file of comments alone, are errors")
  func absent() throws {
    let place = try runner.run(["generate", "--prompts-file", "."])
    #expect(place.status == 66 && place.error.hasPrefix("error: '.' is a folder"))
    _ = try runner.folder.write(Array("# nothing\n".utf8), as: "prompts.txt")
    let empty = try runner.run(["generate", "--prompts-file", "prompts.txt"])
    #expect(empty.status == 64 && empty.error.contains("'prompts.txt' holds no prompt"))
  }

  @Test("A pipe is read as a file is, as in --prompts-file <(...)")
  func pipe() throws {
    let path = "\(runner.folder.path)/pipe"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    // A thread of its own: opening a pipe waits for the other side.
    Thread.detachNewThread {
      try? FileHandle(forWritingTo: URL(filePath: path)).write(contentsOf: Data("a fox\n".utf8))
    }
    #expect(try PromptsFile.prompts(at: path) == ["a fox"])
  }

  @Test("A LoRA's tag is taken out of the prompt, with a warning that says how to load it")
  func tags() throws {
    let plain = ["--seed", "1", "--output"]
    let tagged = try runner.run(["generate", "a fox <lora:watercolor:0.8>"] + plain + ["a.png"])
    #expect(tagged.status == 0)
    #expect(
      tagged.error
        == "warning: the prompt requests the LoRA 'watercolor' with weight 0.8 "
        + "(<lora:watercolor:0.8>), which a prompt cannot load; 'watercolor' is not loaded, and the "
        + "tag was removed from the prompt; load it with --lora FILE:0.8\n")
    _ = try runner.run(["generate", "a fox"] + plain + ["b.png"])
    func pixels(_ name: String) throws -> [UInt8] {
      try PixelImage(png: Array(Data(contentsOf: URL(filePath: "\(runner.folder.path)/\(name)"))))
        .pixels
    }
    #expect(try pixels("a.png") == pixels("b.png"))
    let quiet = try runner.run(["generate", "a <lora:x:1>", "--quiet"])
    #expect(quiet.status == 0 && quiet.error.isEmpty)
  }
}
