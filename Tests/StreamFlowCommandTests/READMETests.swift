import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// The README's command lines that need no files of one's own, run in a copy of what they read.
@Suite(.tags(.process)) struct READMETests {
  private static let package = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../..").standardizedFileURL.path

  /// The lines of the first block that calls the command.
  private static func lines() throws -> [String] {
    let text = try String(contentsOfFile: "\(package)/README.md", encoding: .utf8)
    let block = try #require(
      text.components(separatedBy: "```sh\n").first { $0.contains("alias streamflow") })
    return block.components(separatedBy: "```")[0].split(separator: "\n").map(String.init)
      .filter { $0.hasPrefix("streamflow ") }
  }

  @Test("Every line of the README's first block works unchanged")
  func commandLines() throws {
    let runner = try CommandRunner()
    for name in ["docs", "Scripts"] {
      try FileManager.default.createSymbolicLink(
        atPath: "\(runner.folder.path)/\(name)", withDestinationPath: "\(Self.package)/\(name)")
    }
    let lines = try Self.lines()
    #expect(lines.count == 7)
    // The server runs forever; it has tests of its own.
    for line in lines where !line.hasPrefix("streamflow serve") {
      let process = runner.process([])
      process.executableURL = URL(filePath: "/bin/bash")
      process.arguments = ["-c", "streamflow() { '\(BuiltCommand.path)' \"$@\"; }; \(line)"]
      let log = "\(runner.folder.path)/log"
      _ = FileManager.default.createFile(atPath: log, contents: nil)
      process.standardOutput = FileHandle.nullDevice
      process.standardError = FileHandle(forWritingAtPath: log)
      process.standardInput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      let error = try String(contentsOfFile: log, encoding: .utf8)
      #expect(process.terminationStatus == 0, "\(line): \(error)")
      #expect(!error.contains("error:"), "\(line): \(error)")
    }
    let made = try runner.files("")
    for file in ["fox.png", "fox.mp4", "faces", "out"] { #expect(made.contains(file)) }
    let image = try Data(contentsOf: URL(filePath: "\(runner.folder.path)/fox.png"))
    #expect(try PixelImage(png: Array(image)).width == 64)
  }

  @Test("The README prints the snippet as it is in its file")
  func snippet() throws {
    let text = try String(contentsOfFile: "\(Self.package)/README.md", encoding: .utf8)
    let file = try String(
      contentsOfFile: "\(Self.package)/Snippets/FirstImages.swift", encoding: .utf8)
    let code = file.split(separator: "\n", maxSplits: 1)[1]
    #expect(text.contains("```swift\n\(code)```"))
  }
}
