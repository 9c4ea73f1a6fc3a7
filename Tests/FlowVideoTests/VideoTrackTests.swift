import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage
@testable import FlowVideo

/// Sound, subtitles, chapters and frame times that are carried over.
@Suite(.tags(.ffmpeg)) struct VideoTrackTests {
  private let clips: Clips

  init() throws { clips = try Clips() }

  /// Reads a video and writes its frames and tracks to another.
  @discardableResult
  private func copy(
    _ source: String, to name: String, kinds: Set<VideoTracks.Kind> = Set(VideoTracks.Kind.allCases)
  ) async throws -> VideoWriterResult {
    let path = clips.path(name)
    return try await VideoReader(.file(source)).read { frames in
      var options = VideoWriterOptions(tracks: VideoTracks(from: source, kinds: kinds))
      options.startTime = frames.startTime
      options.isRateVariable = frames.isRateVariable
      return try await VideoWriter(to: path, size: frames.size, rate: frames.rate, options: options)
        .write { video in
          for try await frame in frames { try await video.write(frame.image, at: frame.timestamp) }
        }
    }
  }

  /// What ffprobe shows of a file, a value a line.
  private func probe(_ name: String, _ entries: String, _ more: String...) async throws -> [String]
  {
    try await clips.ffmpeg.output(
      of: clips.ffmpeg.probePath,
      arguments: ["-v", "error", "-show_entries", entries, "-of", "csv=p=0"] + more
        + [clips.path(name)]
    ).split(separator: "\n").map(String.init)
  }

  /// A clip with sound, text, a chapter and a title.
  private func makeRichClip() async throws -> String {
    let text = "1\n00:00:00,200 --> 00:00:00,800\nhello\n"
    let subtitles = try clips.folder.write(Array(text.utf8), as: "a.srt")
    let metadata = """
      ;FFMETADATA1
      title=A title
      [CHAPTER]
      TIMEBASE=1/1000
      START=0
      END=500
      title=One
      """
    let chapters = try clips.folder.write(Array(metadata.utf8), as: "a.txt")
    let font = try clips.folder.write([1, 2, 3], as: "a.ttf")
    return try await clips.make(
      "rich.mkv",
      [
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1", "-f", "lavfi", "-i",
        "sine=duration=1", "-i", subtitles, "-i", chapters, "-map", "0", "-map", "1", "-map", "2",
        "-map_metadata", "3", "-c:a", "aac", "-attach", font, "-metadata:s:t",
        "mimetype=font/ttf",
      ])
  }

  @Test(
    "Every track that a container holds is there, the others are named",
    arguments: [
      ("b.mkv", ["video", "audio", "subtitle", "attachment"], [] as [String]),
      ("b.mp4", ["video", "audio", "subtitle"], ["MP4 does not support attachments"]),
      ("b.webm", ["video", "audio", "subtitle"], ["WebM does not support attachments"]),
      (
        "b.avi", ["video", "audio"],
        ["AVI does not support subtitles", "AVI does not support attachments"]
      ),
      (
        "b.gif", ["video"],
        [
          "GIF does not support audio", "GIF does not support subtitles",
          "GIF does not support attachments",
        ]
      ),
    ])
  func tracks(name: String, kinds: [String], reasons: [String]) async throws {
    let result = try await copy(makeRichClip(), to: name)
    let found = try await probe(name, "stream=codec_type")
    #expect(found.filter { $0 != "data" } == kinds)
    let omitted = result.tracks.compactMap { outcome in
      if case .omitted(let reason) = outcome.fate { reason } else { nil }
    }
    #expect(omitted == reasons)
    #expect(result.frameCount == 25)
    guard ["b.mkv", "b.mp4", "b.webm"].contains(name) else { return }
    #expect(try await probe(name, "format_tags=title") == ["A title"])
    #expect(
      try await probe(name, "chapter_tags=title", "-show_chapters").last?.contains("One") == true)
  }

  @Test("A matroska file with sound has as many frames after as before, and stays in step")
  func frameCount() async throws {
    let source = try await makeRichClip()
    for name in ["b.mkv", "b.mp4"] {
      try await copy(source, to: name)
      let count = try await probe(
        name, "stream=nb_read_frames", "-count_frames", "-select_streams", "v")
      #expect(count == ["25"], "\(name)")
      // Beside the sound, the first frame begins when it did: a packet of sound of 44.1 kHz later.
      let starts = try await probe(name, "stream=start_time").compactMap { Double($0) }
      #expect(abs(starts[0] - starts[1] - 0.023) < 0.002, "\(name) \(starts)")
    }
  }

  @Test("Frame times of a variable rate come back, or are filled up on a grid")
  func variableRate() async throws {
    let source = try await clips.make(
      "v.mp4",
      [
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30:duration=1", "-vf",
        "select='lt(n,5)+eq(n,12)+eq(n,29)'", "-fps_mode", "vfr", "-bf", "0",
      ])
    let expected = [0, 1, 2, 3, 4, 12, 29].map { Double($0) / 30 }
    for name in ["b.mp4", "b.mkv", "b.webm", "b.gif", "b.apng"] {
      let result = try await copy(source, to: name)
      #expect(result.frameCount == 7, "\(name)")
      let times = try await probe(name, "packet=pts_time", "-select_streams", "v")
        .compactMap { Double($0.split(separator: ",")[0]) }.sorted()
      #expect(times.count == 7, "\(name)")
      for (time, other) in zip(times, expected) { #expect(abs(time - other) < 0.011, "\(name)") }
    }
    let result = try await copy(source, to: "b.avi")
    #expect(result.frameCount == 30)
    let frames = try await clips.frames(of: .file(clips.path("b.avi"))).frames
    #expect(frames.count == 30 && frames[13].image == frames[28].image)
  }

  @Test("A sound track of an unknown codec is named, and the one beside it is there")
  func unknownCodec() async throws {
    let source = try await clips.make(
      "p.mp4",
      [
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-f", "lavfi", "-i",
        "sine=duration=1", "-map", "0", "-map", "1", "-map", "1", "-c:a", "aac",
      ])
    var bytes = try Array(Data(contentsOf: URL(filePath: source)))
    // The sample entry of the last track, and the box in it that names the codec once more.
    for (name, other) in [("mp4a", "zzzz"), ("esds", "zzzy")] {
      let entry = try #require(bytes.lastRange(of: Array(name.utf8)))
      bytes.replaceSubrange(entry, with: Array(other.utf8))
    }
    let phone = try clips.folder.write(bytes, as: "phone.mp4")
    let result = try await copy(phone, to: "b.mp4")
    #expect(
      result.tracks.map(\.fate) == [
        .copied, .omitted(reason: "its format is not known to this ffmpeg"),
      ])
    #expect(result.tracks[1].codec == "zzzz")
    #expect(try await probe("b.mp4", "stream=codec_name") == ["h264", "aac"])
  }

  @Test("A plan encodes what it must, and needs no ffmpeg to say so")
  func plan() {
    let codecs = FFmpegCodecs(decodable: ["wmav2", "subrip"], encoders: ["aac", "mov_text"])
    let found = [
      ProbedTrack(kind: .audio, index: 1, codec: "aac"),
      ProbedTrack(kind: .audio, index: 2, codec: "wmav2"),
      ProbedTrack(kind: .audio, index: 4, codec: "atrac9"),
      ProbedTrack(kind: .subtitles, index: 5, codec: "subrip"),
      ProbedTrack(kind: .subtitles, index: 6, codec: "hdmv_pgs_subtitle"),
    ]
    let plan = TrackPlan(
      VideoTracks(from: "a:b.mkv", start: .seconds(2)), found: found, container: .mp4,
      codecs: codecs)
    #expect(plan.inputArguments == ["-ss", "2.000000", "-i", "file:a:b.mkv"])
    #expect(
      plan.outputArguments == [
        "-map", "0:v", "-map", "1:1", "-c:a:0", "copy", "-map", "1:2", "-c:a:1", "aac", "-map",
        "1:5", "-c:s:0", "mov_text", "-map_metadata", "1", "-map_chapters", "1",
      ])
    #expect(
      plan.outcomes.map(\.fate) == [
        .copied, .transcoded(encoder: "aac"), .omitted(reason: "this ffmpeg cannot decode it"),
        .transcoded(encoder: "mov_text"), .omitted(reason: "MP4 supports only text subtitles"),
      ])
  }

  @Test("Times in the log are exact, in any time base")
  func logTimes() {
    var times = FFmpegFrameTimes()
    let head = "[Parsed_showinfo_3 @ 0x55] [info] "
    let lines = [
      head + "config in time_base: 1/15360, frame_rate: 30/1",
      head + "n:   0 pts:   1024 pts_time:0.0666667 pos: 48 fmt:rgb24",
      head + "n:   1 pts:  NOPTS pts_time:NOPTS pos: 48",
      "[info] Stream #0:0: Video: h264, 30 fps",
    ]
    let areRead = lines.map { times.read($0) }
    #expect(areRead == [true, true, true, false])
    #expect(Array(times.waiting) == [.nanoseconds(66_666_666), nil])
    let (first, second, third) = (times.takeFirst(), times.takeFirst(), times.takeFirst())
    #expect(first == .some(.nanoseconds(66_666_666)) && second == .some(nil) && third == nil)
  }
}
