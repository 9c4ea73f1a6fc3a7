import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage
@testable import FlowVideo

/// Standard input of every kind, and outputs that would replace inputs.
@Suite(.tags(.ffmpeg)) struct VideoOpeningTests {
  private let clips: Clips

  init() throws { clips = try Clips() }

  private func makeClip(_ name: String, _ more: [String] = []) async throws -> String {
    try await clips.make(
      name, ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10", "-frames:v", "6"] + more)
  }

  /// Reads a file through a pipe.
  private func readPiped(
    _ file: String, limit: Int = VideoSource.maximumSpoolSize
  ) async throws -> (frames: Int, wasStored: Bool) {
    let bytes = try Data(contentsOf: URL(filePath: file))
    let pipe = Pipe()
    Thread.detachNewThread {
      // The reader may have enough before the end.
      try? pipe.fileHandleForWriting.write(contentsOf: bytes)
      try? pipe.fileHandleForWriting.close()
    }
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    let opened = try await VideoSource(parsing: "-").opened(
      standardInput: descriptor, spoolLimit: limit)
    defer { opened.close() }
    var reader = VideoReader(opened.source)
    reader.standardInput = descriptor
    let count = try await reader.read { frames in
      #expect(frames.size == PixelSize(width: 64, height: 48) && frames.rate == FrameRate(10))
      return try await frames.reduce(0) { count, _ in count + 1 }
    }
    if case .file(let path) = opened.source {
      #expect(FileManager.default.fileExists(atPath: path))
      opened.close()
      #expect(!FileManager.default.fileExists(atPath: path))
      return (count, true)
    }
    return (count, false)
  }

  @Test(
    "A pipe may hold whatever ffmpeg reads; only what needs seeking is stored",
    arguments: [
      ("a.mp4", [], true), ("a.mov", ["-movflags", "+faststart"], true),
      ("f.mp4", ["-movflags", "frag_keyframe+empty_moov"], false), ("a.mkv", [], false),
      ("a.webm", [], false), ("a.ts", [], false), ("a.y4m", [], false), ("a.avi", [], false),
      ("a.gif", [], false),
    ])
  func pipes(name: String, options: [String], isStored: Bool) async throws {
    let read = try await readPiped(makeClip(name, options))
    #expect(read.frames == 6 && read.wasStored == isStored)
  }

  @Test("Input that is not a video, empty, or too large to store is rejected")
  func refused() async throws {
    for (bytes, message) in [
      (Array("a text, and no video".utf8), "cannot read standard input: Invalid data found"),
      ([], "cannot read standard input: it is empty"),
    ] {
      let error = await #expect(throws: MediaError.self) {
        _ = try await readPiped(clips.folder.write(bytes, as: "a.txt"))
      }
      #expect(error?.message.hasPrefix(message) == true, "\(String(describing: error))")
    }
    let clip = try await makeClip("a.mp4")
    let error = await #expect(throws: MediaError.self) { try await readPiped(clip, limit: 1000) }
    #expect(error?.message.contains("larger than 1000 bytes") == true)
  }

  @Test("A redirected file is that file")
  func redirected() async throws {
    let clip = try await makeClip("a.mp4")
    let input = try #require(FileHandle(forReadingAtPath: clip))
    let opened = try await VideoSource(parsing: "-").opened(standardInput: input.fileDescriptor)
    guard case .file(let path) = opened.source else {
      Issue.record("not a file: \(opened.source)")
      return
    }
    #expect(FileIdentity.isSame(path, clip))
  }

  @Test("An output that is the input is refused, by whatever name")
  func sameFile() async throws {
    let folder = clips.folder.path
    let clip = try clips.folder.write([1], as: "a.mp4")
    try FileManager.default.linkItem(atPath: clip, toPath: clips.path("hard.mp4"))
    try FileManager.default.createSymbolicLink(
      atPath: clips.path("soft.mp4"), withDestinationPath: "a.mp4")
    try FileManager.default.createSymbolicLink(
      atPath: clips.path("here"), withDestinationPath: ".")
    for name in ["a.mp4", "./a.mp4", "hard.mp4", "soft.mp4", "here/a.mp4"] {
      let error = #expect(throws: MediaError.self) {
        try VideoSource.file(clip).check(output: "\(folder)/\(name)")
      }
      #expect(error?.code == .outputIsInput, "\(name)")
    }
    try VideoSource.file(clip).check(output: "\(folder)/b.mp4")
    try VideoSource.file(clip).check(output: "-")
    for name in ["0001.png", "0002.png", "x.png"] { _ = try clips.folder.write([1], as: name) }
    let rate = FrameRate(25)
    for source in [
      VideoSource.pictures(folder, rate: rate), .pictures("\(folder)/%04d.png", rate: rate),
      .file("\(folder)/0001.png"),
    ] {
      #expect(throws: MediaError.self, "\(source)") {
        try source.check(output: "\(folder)/here/%04d.png")
      }
      try source.check(output: "\(folder)/out%04d.png")
      try source.check(output: "\(folder)/o.mp4")
    }
  }

  @Test("Images of a folder are recognized by their bytes, what else looks like one is named")
  func folder() throws {
    let image = PixelImage(width: 4, height: 2, pixels: [UInt8](repeating: 9, count: 24))
    for name in ["a.JPG", "b.jfif", "c"] {
      _ = try clips.folder.write(image.jpeg(quality: 90), as: name)
    }
    _ = try clips.folder.write(Array("RIFF1234WEBPVP8 ".utf8), as: "d.webp")
    _ = try clips.folder.write(Array("a text".utf8), as: "e.png")
    _ = try clips.folder.write(Array("a text".utf8), as: "notes.txt")
    _ = try clips.folder.write(image.jpeg(quality: 90), as: "f\ng.jpg")
    let folder = try ImageFolder(clips.folder.path, kinds: ["JPEG"])
    #expect(folder.images == ["a.JPG", "b.jfif", "c"])
    #expect(folder.skipped.map(\.name) == ["d.webp", "e.png", "f\ng.jpg"])
    let read = try ImageFolder(clips.folder.path, kinds: ["JPEG"], damaged: ["png"])
    #expect(read.images == ["a.JPG", "b.jfif", "c", "e.png"])
  }
}
