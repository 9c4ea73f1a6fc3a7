import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// Where images go: standard output, files by their names, folders.
@Suite(.tags(.process)) struct OutputCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws { runner = try CommandRunner() }

  private func generate(_ arguments: String...) throws -> CommandRunner.Outcome {
    try runner.run(["generate", "fox", "--seed", "1"] + arguments)
  }

  private func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: "\(folder.path)/\(path)")))
  }

  @Test("'-' writes the bytes of the file to standard output, and the report to standard error")
  func standardOutput() throws {
    let reference = try generate("--output", "fox.png")
    #expect(reference.status == 0, "\(reference.error)")
    for (arguments, path) in [
      (["--output", "-"], "fox.png"), (["-o", "-", "--format", "png", "--quiet"], "fox.png"),
    ] {
      let outcome = try runner.run(["generate", "fox", "--seed", "1"] + arguments)
      #expect(outcome.status == 0, "\(outcome.error)")
      #expect(try bytes("stdout") == bytes(path))
      #expect(outcome.error.contains("1 image in ") == !arguments.contains("--quiet"))
    }
    let jpeg = try generate("--output", "-", "--format", "jpg", "--quiet")
    #expect(jpeg.status == 0 && jpeg.error.isEmpty)
    #expect(try PixelImage(jpeg: bytes("stdout")).width == 64)
    let sheet = try generate("--count", "2", "--contact-sheet", "-", "--quiet")
    #expect(sheet.status == 0, "\(sheet.error)")
    #expect(try PixelImage(png: bytes("stdout")).height == 8 + 256 + 8)
    let transformed = try runner.run(["transform", "fox.png", "a rocket", "--output", "-"])
    #expect(transformed.status == 0, "\(transformed.error)")
    #expect(try PixelImage(png: bytes("stdout")).width == 64)
    #expect(try runner.files("").allSatisfy { !$0.hasPrefix("-") })
  }

  @Test(
    "Names of files choose the format in any capitalization",
    arguments: [
      ("a.png", true), ("b.PNG", true), ("c.jpg", false), ("d.JPG", false), ("e.Jpeg", false),
      ("f.jfif", false),
    ])
  func formats(name: String, isPNG: Bool) throws {
    let outcome = try generate("--output", name, "--contact-sheet", "sheet-\(name)")
    #expect(outcome.status == 0, "\(outcome.error)")
    for path in [name, "sheet-\(name)"] {
      #expect(try PNGChunks.isPNG(bytes(path)) == isPNG)
      #expect(try PixelImage(picture: bytes(path)).width > 0)
    }
  }

  @Test(
    "What cannot be written is refused before anything is made",
    arguments: [
      (["--output", "x.webp"], "--output 'x.webp': WebP files are not supported; name a file"),
      (["--output", "new/x.GIF"], "--output 'new/x.GIF': GIF files are not supported"),
      (["--output", "x.tiff"], "TIFF files are not supported"),
      (["--output", "x.bmp"], "ending in .png, .jpg or .jpeg"),
      (["--output", "x.mp4"], "video files are not supported"),
      (["--output", ""], "--output must not be empty"),
      (["--output", "-", "--count", "2"], "'-' is standard output, and there are 2 images"),
      (["--output", "-", "--json"], "--json and an image cannot both go to standard output"),
      (["--output", "-", "--contact-sheet", "-"], "cannot both be '-'"),
      (["--output", "-", "--resume"], "--resume needs a folder or a file"),
      (["--output", "x.png", "--format", "jpeg"], "--output 'x.png' is not --format jpeg"),
      (["--contact-sheet", "x.webp"], "--contact-sheet 'x.webp': WebP files are not supported"),
      (
        ["--contact-sheet", "sheet"], "--contact-sheet must be a file ending in .png, .jpg or .jpeg"
      ),
      (["--resume", "--overwrite"], "choose one"),
    ])
  func refused(arguments: [String], message: String) throws {
    for command in [["generate", "fox"], ["edit", "in.png", "fox"]] {
      if command[0] == "edit" {
        let image = PixelImage(width: 1, height: 1, pixels: [1, 2, 3])
        _ = try folder.write(try image.png(), as: "in.png")
      }
      let outcome = try runner.run(command + arguments)
      #expect(outcome.status == 64 && outcome.error.contains(message), "\(outcome.error)")
      #expect(outcome.error.contains("Usage: streamflow \(command[0]) "), "\(outcome.error)")
      #expect(Set(try runner.files("")).isSubset(of: ["stdout", "stderr", "in.png", "cache"]))
    }
  }

  @Test("A '/' or an existing folder makes a folder of any name; a file is not a folder")
  func folders() throws {
    #expect(try generate("--output", "x.webp/").status == 0)
    #expect(try generate("--output", "x.webp").status == 0)
    #expect(try runner.files("x.webp") == ["0001-fox.png", "0002-fox.png"])
    _ = try folder.write([1], as: "plain")
    let outcome = try generate("--output", "plain")
    #expect(outcome.status == 73)
    #expect(
      outcome.error == "error: 'plain' is a file, not a folder; choose another with --output\n")
  }

  @Test("An image is not written to a terminal")
  func terminal() throws {
    let terminal = try PseudoTerminal()
    let process = runner.process(["generate", "fox", "--output", "-"])
    process.standardOutput = try terminal.handle()
    let log = "\(folder.path)/log"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: log)
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 64)
    #expect(
      try String(contentsOfFile: log, encoding: .utf8)
        .hasPrefix("error: refusing to write binary data to the terminal; redirect it"))
  }
}
