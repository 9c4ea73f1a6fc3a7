import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage
@testable import FlowVideo

@Suite(.tags(.ffmpeg)) struct VideoReaderTests {
  private let clips: Clips

  init() throws { clips = try Clips() }

  @Test("Frames are byte for byte what ffmpeg's raw output holds, each at its time")
  func pixels() async throws {
    let source = "testsrc=size=37x23:rate=30000/1001"
    let clip = try await clips.make(
      "a.mkv", ["-f", "lavfi", "-i", source, "-frames:v", "7", "-c:v", "ffv1", "-pix_fmt", "bgr0"])
    let raw = try await clips.make("a.rgb", ["-i", clip, "-f", "rawvideo", "-pix_fmt", "rgb24"])
    let expected = try Array(Data(contentsOf: URL(filePath: raw)))
    let (frames, rate) = try await clips.frames(of: .file(clip))
    #expect(frames.map(\.index) == Array(0..<7) && rate == FrameRate(30_000, per: 1001))
    #expect(frames.flatMap(\.image.pixels) == expected)
    #expect(frames.allSatisfy { $0.image.width == 37 && $0.image.height == 23 })
    #expect(frames[3].timestamp == .nanoseconds(3 * 1001 * 1_000_000 / 30))
  }

  @Test(
    "A selection keeps durations: start, length, every n-th frame, another rate",
    arguments: [
      (FrameSelection(), 60, FrameRate(30)),
      (FrameSelection(start: .seconds(1)), 30, FrameRate(30)),
      (FrameSelection(start: .milliseconds(500), duration: .seconds(1)), 30, FrameRate(30)),
      (FrameSelection(every: 4), 15, FrameRate(15, per: 2)),
      (FrameSelection(rate: FrameRate(12)), 24, FrameRate(12)),
      (FrameSelection(duration: .seconds(1), every: 2, rate: FrameRate(60)), 30, FrameRate(30)),
    ])
  func selections(selection: FrameSelection, count: Int, rate: FrameRate) async throws {
    let graph = "testsrc2=size=64x48:rate=30:duration=2"
    let file = try await clips.make("a.mp4", ["-f", "lavfi", "-i", graph])
    for source in [VideoSource.file(file), .generated(graph)] {
      let read = try await clips.frames(of: source, selection)
      #expect(read.frames.count == count && read.rate == rate, "\(source)")
      #expect(read.frames.last?.timestamp == rate.time(ofFrame: count - 1))
    }
  }

  @Test("A start is exact, also between two key frames")
  func exactStart() async throws {
    let file = try await clips.make(
      "a.mkv",
      [
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=3", "-c:v", "libx264", "-qp",
        "0", "-g", "25",
      ])
    let all = try await clips.frames(of: .file(file)).frames
    let late = try await clips.frames(of: .file(file), FrameSelection(start: .milliseconds(1700)))
    #expect(late.frames.map(\.image) == all[17...].map(\.image))
  }

  @Test("A video that is stored on its side is upright, and so is its size", arguments: [90, 270])
  func rotated(angle: Int) async throws {
    // Red on the left, blue on the right.
    let sides = "color=red:size=32x48,pad=64:48:0:0:blue"
    let plain = try await clips.make(
      "a.mp4", ["-f", "lavfi", "-i", sides, "-frames:v", "3", "-pix_fmt", "yuv444p"])
    // The matrix of the track's header, 44 bytes into its box (QuickTime File Format): clockwise.
    var bytes = try Array(Data(contentsOf: URL(filePath: plain)))
    let box = try #require(bytes.firstRange(of: Array("tkhd".utf8))).lowerBound
    let (one, minusOne): ([UInt8], [UInt8]) = ([0, 1, 0, 0], [0xff, 0xff, 0, 0])
    bytes.replaceSubrange(box + 44..<box + 48, with: [0, 0, 0, 0])
    bytes.replaceSubrange(box + 48..<box + 52, with: angle == 90 ? one : minusOne)
    bytes.replaceSubrange(box + 56..<box + 60, with: angle == 90 ? minusOne : one)
    bytes.replaceSubrange(box + 60..<box + 64, with: [0, 0, 0, 0])
    let turned = try clips.folder.write(bytes, as: "b.mp4")
    let information = try await VideoProbe().information(of: .file(turned))
    #expect(information.size == PixelSize(width: 48, height: 64))
    let image = try await clips.frames(of: .file(turned)).frames[0].image
    #expect(image.width == 48 && image.height == 64)
    // A quarter turn clockwise puts the left side on top.
    let (top, bottom) = (image.pixels[..<3], image.pixels.suffix(3))
    #expect((angle == 90 ? top : bottom).first ?? 0 > 200)
    #expect((angle == 90 ? bottom : top).last ?? 0 > 200)
  }

  @Test("Each frame of a variable rate comes once, at the file's own time")
  func variable() async throws {
    // A second of 30 frames, then two of 10 frames each.
    let file = try await clips.make(
      "a.mp4",
      [
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30:duration=3", "-vf",
        "select='if(lt(n,30),1,not(mod(n,3)))'", "-fps_mode", "vfr", "-bf", "0",
      ])
    let information = try await VideoProbe().information(of: .file(file))
    #expect(information.isRateVariable && information.frameCount == 50)
    #expect(information.readingRate == FrameRate(30))
    let (frames, rate) = try await clips.frames(of: .file(file))
    #expect(frames.count == 50 && rate == FrameRate(30))
    let places = Array(0..<30) + (10..<30).map { 3 * $0 }
    #expect(frames.map(\.timestamp) == places.map { rate.time(ofFrame: $0) })
    // A constant rate is still available.
    let even = try await clips.frames(of: .file(file), FrameSelection(rate: FrameRate(30))).frames
    #expect(abs(even.count - 90) <= 2 && even[60].image == even[61].image)
  }

  @Test("A video that begins after its sound has all its frames, and says when it begins")
  func lateStart() async throws {
    let file = try await clips.make(
      "a.mkv",
      [
        "-f", "lavfi", "-i", "sine=duration=2", "-itsoffset", "1", "-f", "lavfi", "-i",
        "testsrc2=size=64x48:rate=10:duration=1", "-map", "0", "-map", "1",
      ])
    let start = try await VideoReader(.file(file)).read { frames in
      let count = try await frames.reduce(0) { count, _ in count + 1 }
      #expect(count == 10)
      return frames.startTime
    }
    #expect(abs(start / .seconds(1) - 1) < 0.03, "\(start)")
  }

  @Test("Raw and y4m streams are read, y4m with its own size and rate")
  func streams() async throws {
    let size = PixelSize(width: 33, height: 17)
    for (name, rate) in [("a.rgb", FrameRate(10)), ("a.y4m", FrameRate(30_000, per: 1001))] {
      let format: VideoSource.StreamFormat = name == "a.rgb" ? .rgb(size, rate: rate) : .y4m
      let file = try await clips.make(
        name,
        [
          "-f", "lavfi", "-i", "testsrc=size=\(size):rate=\(rate)", "-frames:v", "5", "-f",
          name == "a.rgb" ? "rawvideo" : "yuv4mpegpipe", "-pix_fmt",
          name == "a.rgb" ? "rgb24" : "yuv444p",
        ])
      let input = try FileHandle(forReadingFrom: URL(filePath: file))
      var reader = VideoReader(.standardInput(format))
      reader.standardInput = input.fileDescriptor
      let count = try await reader.read { frames in
        #expect(frames.size == size && frames.rate == rate)
        return try await frames.reduce(0) { count, _ in count + 1 }
      }
      #expect(count == 5)
    }
  }

  @Test("A raw stream that ends in a frame gives the whole ones, and then says so")
  func cutShort() async throws {
    let size = PixelSize(width: 40, height: 30)
    let bytes = [UInt8](repeating: 99, count: 3 * size.width * size.height * 5 / 2)
    let file = try clips.folder.write(bytes, as: "cut.rgb")
    let input = try FileHandle(forReadingFrom: URL(filePath: file))
    var reader = VideoReader(.standardInput(.rgb(size, rate: FrameRate(10))))
    reader.standardInput = input.fileDescriptor
    var count = 0
    let error = await #expect(throws: MediaError.self) {
      try await reader.read { frames in for try await _ in frames { count += 1 } }
    }
    #expect(count == 2 && error?.code == .videoCutShort)
    #expect(error?.message.contains("after 2 whole frames: Invalid buffer size") == true)
  }

  @Test("A y4m stream that ends in a frame says so, which ffmpeg does not", arguments: [1, 2])
  func cutShortY4M(wholeFrames: Int) async throws {
    let file = try await clips.make(
      "a.y4m",
      ["-f", "lavfi", "-i", "testsrc=size=40x30:rate=5", "-frames:v", "3", "-pix_fmt", "yuv420p"])
    let bytes = try Array(Data(contentsOf: URL(filePath: file)))
    let frame = "FRAME\n".utf8.count + 40 * 30 * 3 / 2
    let cut = try clips.folder.write(
      Array(bytes.dropLast((3 - wholeFrames) * frame - 900)), as: "cut.y4m")
    let input = try FileHandle(forReadingFrom: URL(filePath: cut))
    var piped = VideoReader(.standardInput(.y4m))
    piped.standardInput = input.fileDescriptor
    for reader in [piped, VideoReader(.file(cut))] {
      var count = 0
      let error = await #expect(throws: MediaError.self) {
        try await reader.read { frames in for try await _ in frames { count += 1 } }
      }
      #expect(count == wholeFrames && error?.code == .videoCutShort)
      #expect(
        error?.message.hasSuffix(
          "after \(wholeFrames) whole frame\(wholeFrames == 1 ? "" : "s"): "
            + "the last one lacks some of its bytes") == true)
    }
    // Less than all was asked for.
    let part = VideoReader(.file(cut), selection: FrameSelection(duration: .milliseconds(150)))
    #expect(try await part.read { try await $0.reduce(0) { count, _ in count + 1 } } == 1)
  }

  @Test("A folder is read in the order of its numbers, a pattern in its own", arguments: [0, 1])
  func pictures(kind: Int) async throws {
    for index in [1, 2, 10] {
      let image = PixelImage(
        width: 4, height: 2, pixels: [UInt8](repeating: UInt8(index), count: 24))
      let name = kind == 0 ? "it's \(index).png" : "frame-\(index == 10 ? 3 : index).png"
      _ = try clips.folder.write(image.png(), as: name)
    }
    let path = kind == 0 ? clips.folder.path : clips.path("frame-%d.png")
    let source = VideoSource(parsing: path, rate: FrameRate(30_000, per: 1001))
    let (frames, rate) = try await clips.frames(of: source)
    #expect(frames.map { $0.image.pixels[0] } == [1, 2, 10])
    #expect(rate == FrameRate(30_000, per: 1001))
  }

  @Test("Leaving in the middle ends ffmpeg, which has a process group of its own")
  func leaving() async throws {
    let mark = "testsrc2=size=66x48:rate=31"
    let clips = clips
    try await VideoReader(.generated(mark)).read { frames in
      for try await frame in frames where frame.index == 3 { break }
      let commands = try await clips.running(with: mark)
      #expect(commands.count == 1 && commands.allSatisfy { !$0.hasPrefix("\(getpgrp()) ") })
    }
    #expect(try await clips.running(with: mark) == [])
  }

  @Test("Cancellation ends ffmpeg, and is reported as such")
  func cancelled() async throws {
    let mark = "testsrc2=size=68x48:rate=33"
    let (started, start) = AsyncStream<Void>.makeStream()
    let task = Task {
      try await VideoReader(.generated(mark)).read { frames in
        for try await _ in frames { start.yield() }
      }
    }
    for await _ in started { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try await clips.running(with: mark) == [])
  }

  @Test("An error of the reader's own comes through, and ffmpeg is gone")
  func thrown() async throws {
    struct Enough: Error {}
    let mark = "testsrc2=size=70x48:rate=34"
    await #expect(throws: Enough.self) {
      try await VideoReader(.generated(mark)).read { _ in throw Enough() }
    }
    #expect(try await clips.running(with: mark) == [])
  }

  @Test("What cannot be read is named, in ffmpeg's words")
  func unreadable() async throws {
    let text = try clips.folder.write(Array("a text".utf8), as: "a:b.mp4")
    let sound = try await clips.make("a.wav", ["-f", "lavfi", "-i", "sine=duration=0.1"])
    let cases: [(VideoSource, MediaError.Code, String)] = [
      (
        .file("/no/such.mp4"), .fileUnreadable, "there is no file '/no/such.mp4'"
      ),
      (.file(text), .videoUnreadable, "cannot read '\(text)': Invalid data found"),
      (.file(sound), .videoStreamMissing, "cannot read '\(sound)': it has no video stream"),
      (.generated("nonsense"), .videoUnreadable, "cannot read the graph 'nonsense': "),
      (.camera("/dev/video99"), .videoUnreadable, "cannot read the camera '/dev/video99': "),
      (.pictures("/no", rate: FrameRate(1)), .fileUnreadable, "there is no folder '/no'"),
      (.pictures("/no/%d.png", rate: FrameRate(1)), .videoUnreadable, "cannot read '/no/%d.png': "),
    ]
    for (source, code, message) in cases {
      let error = await #expect(throws: MediaError.self) {
        try await VideoReader(source).read { _ in }
      }
      #expect(
        error?.code == code && error?.message.hasPrefix(message) == true,
        "\(String(describing: error))")
    }
    let beyond = FrameSelection(start: .seconds(9))
    let clip = try await clips.make(
      "c.mp4", ["-f", "lavfi", "-i", "testsrc2=size=64x48:duration=1"])
    let error = await #expect(throws: MediaError.self) {
      try await VideoReader(.file(clip), selection: beyond).read { _ in }
    }
    #expect(error?.message == "cannot read '\(clip)': there is no frame in it")
  }

  @Test("A screen is read as it comes", .enabled(if: Xvfb.path != nil, "Xvfb is not installed"))
  func screen() async throws {
    let display = try Xvfb(size: PixelSize(width: 320, height: 200))
    defer { display.stop() }
    let source = VideoSource(parsing: display.name, rate: FrameRate(20))
    let reader = VideoReader(source)
    let frames = try await reader.read { frames in
      #expect(frames.size == PixelSize(width: 320, height: 200) && frames.rate == FrameRate(20))
      var taken: [VideoFrame] = []
      for try await frame in frames {
        taken.append(frame)
        if taken.count == 3 { break }
      }
      return taken
    }
    #expect(frames.map(\.index) == [0, 1, 2])
    #expect(frames[0].timestamp < frames[1].timestamp && frames[1].timestamp < frames[2].timestamp)
  }
}

/// A screen in memory.
private struct Xvfb {
  static let path = ["/usr/bin/Xvfb", "/opt/X11/bin/Xvfb"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  let name: String
  private let process: Process

  /// Starts a server, which chooses a number that is free and writes it when it is ready.
  init(size: PixelSize) throws {
    process = Process()
    process.executableURL = URL(filePath: Self.path ?? "")
    process.arguments = ["-displayfd", "1", "-screen", "0", "\(size)x24", "-nolisten", "tcp"]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let number = String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
    name = ":\(number.trimmingCharacters(in: .whitespacesAndNewlines)).0"
  }

  /// Ends it by force: it inherits a mask of signals that holds gentler ones back.
  func stop() {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
