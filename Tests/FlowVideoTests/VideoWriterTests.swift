import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage
@testable import FlowVideo

@Suite(.tags(.ffmpeg)) struct VideoWriterTests {
  private let clips: Clips
  private let size = PixelSize(width: 64, height: 48)
  private let rate = FrameRate(10)

  init() throws { clips = try Clips() }

  /// Writes some frames, each a little brighter than the one before.
  private func write(
    _ count: Int, to name: String, size: PixelSize? = nil, rate: FrameRate? = nil,
    options: VideoWriterOptions = VideoWriterOptions()
  ) async throws -> VideoWriterResult {
    let size = size ?? self.size
    let writer = try VideoWriter(
      to: clips.path(name), size: size, rate: rate ?? self.rate, options: options)
    return try await writer.write { video in
      for index in 0..<count { try await video.write(Clips.picture(size, index: index)) }
    }
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: clips.folder.path).sorted()
  }

  @Test(
    "Frames come back about as they were, from each form of file",
    arguments: [
      // The worst byte: H.264 at quality 18 with colors at half the resolution, and so on.
      ("a.mp4", 8, "h264"), ("a.mov", 8, "h264"), ("a.mkv", 8, "h264"), ("a.webm", 12, "vp9"),
      ("a.avi", 16, "mpeg4"), ("a.gif", 40, "gif"), ("a.apng", 0, "apng"), ("a.y4m", 2, "rawvideo"),
    ])
  func roundTrip(name: String, worst: Int, codec: String) async throws {
    let result = try await write(5, to: name)
    #expect(result.frameCount == 5 && result.size == size && result.duration == .milliseconds(500))
    let probe = try await clips.probe(clips.path(name))
    #expect(probe["codec_name"] == codec && probe["nb_read_frames"] == "5")
    #expect(probe["r_frame_rate"] == "10/1")
    let frames = try await clips.frames(of: .file(clips.path(name))).frames
    #expect(frames.count == 5)
    for (index, frame) in frames.enumerated() {
      let difference = Clips.difference(frame.image, Clips.picture(size, index: index))
      #expect(difference.worst <= worst && difference.mean <= Double(worst) / 4, "\(difference)")
    }
    #expect(try files() == [name])
  }

  @Test("Bare pixels and images of a pattern hold every byte")
  func exact() async throws {
    _ = try await write(3, to: "a.rgb")
    let expected = (0..<3).flatMap { Clips.picture(size, index: $0).pixels }
    #expect(try Array(Data(contentsOf: URL(filePath: clips.path("a.rgb")))) == expected)
    _ = try await write(3, to: "p%03d.png")
    #expect(try files() == ["a.rgb", "p001.png", "p002.png", "p003.png"])
    #expect(
      try PixelImage(imageAt: clips.path("p003.png")) == Clips.picture(size, index: 2))
    let error = await #expect(throws: MediaError.self) { try await write(1, to: "p%d.png") }
    #expect(error?.message == "'\(clips.folder.path)/p001.png' exists already")
  }

  @Test("Colors are tagged: BT.709 if nothing is known, else what the source says")
  func color() async throws {
    _ = try await write(2, to: "a.mp4")
    let plain = try await clips.probe(clips.path("a.mp4"))
    let keys = ["color_range", "color_space", "color_primaries", "color_transfer"]
    #expect(keys.map { plain[$0] } == ["tv", "bt709", "bt709", "bt709"])
    let color = VideoColor(
      range: "pc", matrix: "smpte170m", primaries: "smpte170m", transfer: "smpte170m")
    _ = try await write(2, to: "b.mp4", options: VideoWriterOptions(color: color))
    let tagged = try await clips.probe(clips.path("b.mp4"))
    #expect(keys.map { tagged[$0] } == ["pc", "smpte170m", "smpte170m", "smpte170m"])
    let read = try await VideoProbe().information(of: .file(clips.path("b.mp4")))
    #expect(read.color == color)
    let image = try await clips.frames(of: .file(clips.path("b.mp4"))).frames[1].image
    #expect(Clips.difference(image, Clips.picture(size, index: 1)).worst <= 8)
  }

  @Test(
    "Odd sizes become even by repeating a column or row, where the codec needs it",
    arguments: [("a.mp4", 34, 18), ("a.webm", 33, 17), ("a.y4m", 33, 17), ("a.gif", 33, 17)])
  func odd(name: String, width: Int, height: Int) async throws {
    let odd = PixelSize(width: 33, height: 17)
    let result = try await write(3, to: name, size: odd)
    #expect(result.size == PixelSize(width: width, height: height))
    let image = try await clips.frames(of: .file(clips.path(name))).frames[0].image
    #expect(image.width == width && image.height == height)
    // The added column is as the one before it, not black.
    let (last, before) = (3 * (width - 1), 3 * (width - 2))
    #expect(
      image.pixels[last] > 150 && abs(Int(image.pixels[last]) - Int(image.pixels[before])) < 20)
  }

  @Test("A rate is kept as the fraction that it is")
  func fraction() async throws {
    _ = try await write(4, to: "a.mp4", rate: FrameRate(24_000, per: 1001))
    #expect(try await clips.probe(clips.path("a.mp4"))["r_frame_rate"] == "24000/1001")
  }

  @Test(
    "Sound goes along: copied where the file takes it, else encoded again, else named",
    arguments: [
      ("a.mp4", VideoTracks.Fate.copied),
      ("a.webm", .transcoded(encoder: "libopus")),
      ("a.gif", .omitted(reason: "GIF does not support audio")),
    ])
  func audio(name: String, fate: VideoTracks.Fate) async throws {
    let source = try await clips.make(
      "source.mp4",
      [
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30:duration=2", "-f", "lavfi", "-i",
        "sine=duration=2", "-c:a", "aac",
      ])
    // Every third frame of the second second.
    let selection = FrameSelection(start: .seconds(1), every: 3)
    let tracks = VideoTracks(from: source, start: .seconds(1))
    let path = clips.path(name)
    let result = try await VideoReader(.file(source), selection: selection).read { frames in
      let options = VideoWriterOptions(tracks: tracks)
      return try await VideoWriter(to: path, size: frames.size, rate: frames.rate, options: options)
        .write { video in for try await frame in frames { try await video.write(frame.image) } }
    }
    #expect(result.tracks == [VideoTracks.Outcome(.audio, codec: "aac", fate)])
    #expect(result.frameCount == 10 && result.rate == FrameRate(10))
    let information = try await VideoProbe().information(of: .file(path))
    #expect(information.audioCodecs.count == (name == "a.gif" ? 0 : 1))
    // A packet of sound is 23 ms, and a frame 100.
    let duration = try #require(information.duration)
    #expect(abs(duration / .seconds(1) - 1) < 0.11, "\(duration)")
  }

  @Test("A source without sound is written without")
  func silence() async throws {
    let source = try await clips.make(
      "s.mp4", ["-f", "lavfi", "-i", "testsrc2=size=64x48:duration=1"])
    let options = VideoWriterOptions(tracks: VideoTracks(from: source))
    #expect(try await write(2, to: "a.mp4", options: options).tracks == [])
  }

  @Test("An existing file is replaced only on request")
  func overwriting() async throws {
    _ = try clips.folder.write([1, 2, 3], as: "a.mp4")
    let error = await #expect(throws: MediaError.self) { try await write(1, to: "a.mp4") }
    #expect(error?.message == "'\(clips.path("a.mp4"))' exists already")
    _ = try await write(2, to: "a.mp4", options: VideoWriterOptions(overwriting: true))
    #expect(try await clips.probe(clips.path("a.mp4"))["nb_read_frames"] == "2")
    #expect(try files() == ["a.mp4"])
  }

  @Test("An error in the middle leaves what was written, with its sound, and says so")
  func thrown() async throws {
    struct Enough: Error {}
    let sound = try await clips.make(
      "s.m4a", ["-f", "lavfi", "-i", "sine=duration=5", "-c:a", "aac"])
    let options = VideoWriterOptions(tracks: VideoTracks(from: sound))
    let writer = try VideoWriter(to: clips.path("a.mp4"), size: size, rate: rate, options: options)
    let error = await #expect(throws: MediaError.self) {
      try await writer.write { video in
        for index in 0..<7 { try await video.write(Clips.picture(size, index: index)) }
        throw Enough()
      }
    }
    #expect(error?.code == .interrupted && error?.cause is Enough)
    #expect(error?.message == "Enough(); '\(clips.path("a.mp4"))' holds the 7 frames until then")
    #expect(try await clips.probe(clips.path("a.mp4"))["nb_read_frames"] == "7")
    let information = try await VideoProbe().information(of: .file(clips.path("a.mp4")))
    #expect(information.audioCodecs == ["aac"])
    #expect(try #require(information.duration) < .seconds(1))
    #expect(try files() == ["a.mp4", "s.m4a"])
  }

  @Test("An error before the first frame leaves nothing")
  func thrownAtOnce() async throws {
    struct Enough: Error {}
    let writer = try VideoWriter(to: clips.path("a.mp4"), size: size, rate: rate)
    await #expect(throws: Enough.self) { try await writer.write { _ in throw Enough() } }
    let error = await #expect(throws: MediaError.self) { try await writer.write { _ in } }
    #expect(error?.message == "cannot write '\(clips.path("a.mp4"))': there is no frame")
    #expect(try files() == [])
  }

  @Test("Cancellation leaves a file that plays", arguments: ["a.mp4", "a.mkv", "a.gif"])
  func cancelled(name: String) async throws {
    let (started, start) = AsyncStream<Int>.makeStream()
    let writer = try VideoWriter(to: clips.path(name), size: size, rate: rate)
    let task = Task { [size] in
      try await writer.write { video in
        for index in 0... {
          try await video.write(Clips.picture(size, index: index % 100))
          start.yield(index)
        }
      }
    }
    for await index in started where index == 5 { break }
    task.cancel()
    let error = await #expect(throws: MediaError.self) { try await task.value }
    #expect(error?.code == .interrupted && error?.cause is CancellationError)
    let frames = try await clips.probe(clips.path(name))["nb_read_frames"] ?? ""
    #expect(Int(frames) ?? 0 >= 6)
    let said = "stopped: \(frames) frames written to \(clips.path(name))"
    #expect(error?.message == said)
    #expect(try files() == [name])
  }

  @Test("What the reader meets is the writer's error too, beside the file of what came before")
  func cutShort() async throws {
    let bytes = [UInt8](repeating: 99, count: 3 * size.width * size.height * 7 / 2)
    let file = try clips.folder.write(bytes, as: "cut.rgb")
    let input = try FileHandle(forReadingFrom: URL(filePath: file))
    var reader = VideoReader(.standardInput(.rgb(size, rate: rate)))
    reader.standardInput = input.fileDescriptor
    let writer = try VideoWriter(to: clips.path("a.mp4"), size: size, rate: rate)
    let error = await #expect(throws: MediaError.self) {
      try await reader.read { frames in
        try await writer.write { video in
          for try await frame in frames { try await video.write(frame.image) }
        }
      }
    }
    #expect(error?.code == .videoCutShort)
    #expect(
      error?.message.hasSuffix("'\(clips.path("a.mp4"))' holds the 3 frames until then") == true)
  }

  @Test("Standard output is y4m that the reader takes, and a full one is an error")
  func standardOutput() async throws {
    var writer = try VideoWriter(to: "-", size: size, rate: rate)
    let file = try clips.folder.write([], as: "out.y4m")
    let output = try FileHandle(forWritingTo: URL(filePath: file))
    writer.standardOutput = output.fileDescriptor
    let pictures = (0..<3).map { Clips.picture(size, index: $0) }
    _ = try await writer.write { video in
      for picture in pictures { try await video.write(picture) }
    }
    var reader = VideoReader(.standardInput(.y4m))
    let input = try FileHandle(forReadingFrom: URL(filePath: file))
    reader.standardInput = input.fileDescriptor
    let read = try await reader.read { frames in
      try await frames.reduce(into: []) { $0.append($1.image) }
    }
    #expect(read.count == 3)
    for (one, other) in zip(read, pictures) { #expect(Clips.difference(one, other).worst <= 2) }
  }

  @Test(
    "A full output is reported as such",
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "there is no /dev/full"))
  func full() async throws {
    var writer = try VideoWriter(to: "-", size: size, rate: rate)
    let output = try FileHandle(forWritingTo: URL(filePath: "/dev/full"))
    writer.standardOutput = output.fileDescriptor
    let size = size
    let error = await #expect(throws: MediaError.self) {
      try await writer.write { video in
        for index in 0..<200 { try await video.write(Clips.picture(size, index: index % 50)) }
      }
    }
    #expect(error?.code == .diskFull)
  }

  @Test(
    "A disk that fills up leaves a file that plays where the form allows it, else none",
    .enabled(if: SmallDisk.isPossible, "only the superuser of Linux can make a small disk"),
    arguments: ["a.mkv", "a.mp4"])
  func smallDisk(name: String) async throws {
    let disk = try await SmallDisk(at: clips.folder.path)
    defer { disk.remove() }
    let size = PixelSize(width: 320, height: 240)
    let writer = try VideoWriter(to: clips.path(name), size: size, rate: rate)
    let noise = (0..<2).map { _ in
      let bytes = (0..<size.width * size.height * 3).map { _ in UInt8.random(in: 0...255) }
      return PixelImage(width: size.width, height: size.height, pixels: bytes)
    }
    let error = await #expect(throws: MediaError.self) {
      try await writer.write { video in
        for index in 0..<200 { try await video.write(noise[index % 2]) }
      }
    }
    #expect(error?.code == .diskFull, "\(String(describing: error))")
    #expect(error?.message.contains("No space left on device") == true)
    #expect(try files() == (name == "a.mkv" ? ["a.mkv"] : []))
  }

  @Test("What cannot be written is named before a frame is made")
  func unwritable() async throws {
    let size = size
    let rate = rate
    func error(
      _ path: String, encoder: String? = nil
    ) async -> MediaError? {
      await #expect(throws: MediaError.self) {
        try await VideoWriter(
          to: path, size: size, rate: rate, options: VideoWriterOptions(encoder: encoder)
        ).write { _ in Issue.record("a frame was asked for") }
      }
    }
    let missing = await error("/no/folder/a.mp4")
    #expect(missing?.message == "cannot write '/no/folder/a.mp4': No such file or directory")
    #expect(missing?.code == .fileUnwritable)
    #expect(await error("/no/folder/%d.png")?.code == .fileUnwritable)
    let unknown = await error(clips.path("a.xyz"))
    #expect(unknown?.code == .formatUnsupported)
    #expect(await error(clips.path("a.png"))?.code == .formatUnsupported)
    let encoder = await error(clips.path("a.mp4"), encoder: "libnone")
    #expect(encoder?.code == .encoderMissing)
    #expect(encoder?.message.contains("has no encoder libnone; it has ") == true)
    #expect(encoder?.message.contains("libx264") == true)
    #expect(try files() == [])
  }
}

/// A disk of 512 KB in memory.
private struct SmallDisk {
  #if os(Linux)
    static let isPossible = geteuid() == 0 && FileManager.default.fileExists(atPath: "/bin/mount")
  #else
    static let isPossible = false
  #endif

  let path: String

  init(at path: String) async throws {
    self.path = path
    try run("/bin/mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", path)
  }

  func remove() { try? run("/bin/umount", "-l", path) }

  private func run(_ program: String, _ arguments: String...) throws {
    let process = try Process.run(URL(filePath: program), arguments: arguments)
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
  }
}
