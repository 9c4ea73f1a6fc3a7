import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// What `streamflow video` does with its files: it loses no input, no frame and no track.
@Suite(.tags(.process, .ffmpeg)) struct VideoCommandFileTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  private static let quick = ["--batch-size", "2", "--steps", "1", "--seed", "1"]

  init() throws { runner = try CommandRunner() }

  private func video(_ arguments: String...) throws -> CommandRunner.Outcome {
    try runner.run(["video"] + arguments + Self.quick)
  }

  @discardableResult
  private func shell(_ line: String) throws -> (status: Int32, output: String) {
    try runner.shell("f() { ffmpeg -hide_banner -loglevel error -y \"$@\"; }; \(line)")
  }

  private func probe(_ name: String, _ entries: String, _ more: String = "") throws -> [String] {
    try shell("ffprobe -v error -show_entries \(entries) \(more) -of csv=p=0 '\(name)'").output
      .split(separator: "\n").map(String.init)
  }

  private func makeClip(_ name: String, size: String = "96x64", frames: Int = 3) throws {
    try shell("f -f lavfi -i testsrc2=size=\(size):rate=10 -frames:v \(frames) \(name)")
  }

  @Test("The input is never replaced, whatever the output is called")
  func inputStays() throws {
    try makeClip("clip.mp4")
    try shell(
      "ln clip.mp4 hard.mp4; ln -s clip.mp4 soft.mp4; ln -s . here; mkdir f; f -i clip.mp4 f/%04d.png"
    )
    let before = try shell("cat clip.mp4 f/*.png | cksum").output
    for (input, output) in [
      ("clip.mp4", "clip.mp4"), ("clip.mp4", "./clip.mp4"), ("clip.mp4", "hard.mp4"),
      ("clip.mp4", "soft.mp4"), ("soft.mp4", "clip.mp4"), ("clip.mp4", "here/clip.mp4"),
      ("f", "f/%04d.png"), ("f/%04d.png", "f/%04d.png"), ("f", "f/0001.png"),
    ] {
      let outcome = try video(input, "a fox", "--output", output, "--overwrite")
      #expect(outcome.status != 0, "\(input) \(output)")
      if output != "f/0001.png" {
        #expect(outcome.status == 64, "\(input) \(output)")
        #expect(outcome.error.contains("would replace the input"), "\(outcome.error)")
      }
      #expect(!outcome.error.contains("preparing"))
    }
    #expect(try shell("cat clip.mp4 f/*.png | cksum").output == before)
    #expect(try runner.files(".").filter { $0.contains("writing") } == [])
  }

  @Test(
    "The aspect ratio stays, and the output is scaled as asked",
    arguments: [
      (["--output", "o.mp4"], "76,56"), (["--output", "o.mp4", "--width", "64"], "64,48"),
      (["--output", "o.mp4", "--width", "64", "--height", "64"], "64,64"),
      (["--output", "o.mp4", "--scale-output", "source"], "320,240"),
      (["--output", "o.mp4", "--scale-output", "2"], "152,112"),
      (["--output", "o.mp4", "--scale-output", "200x100"], "200,100"),
      (["--output", "o.mp4", "--upscale", "2", "--preview", "side-by-side"], "304,112"),
      (["--output", "o.mp4", "--scale-output", "source", "--preview", "side-by-side"], "640,240"),
    ])
  func sizes(arguments: [String], size: String) throws {
    try makeClip("clip.mp4", size: "320x240", frames: 1)
    let outcome = try runner.run(
      ["video", "clip.mp4", "a fox"] + arguments + Self.quick)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(try probe("o.mp4", "stream=width,height") == [size])
    #expect(outcome.output.hasPrefix("1 frame in "), "\(outcome.output)")
    #expect(!outcome.error.contains("auto:"))
  }

  @Test("Each frame of a variable rate is made once, and has its time; equal frames are one")
  func networkCalls() throws {
    try shell(
      """
      f -f lavfi -i testsrc2=size=64x64:rate=30:duration=1 -vf "select='lt(n,12)+eq(n,29)'" \
        -fps_mode vfr -bf 0 v.mp4
      f -f lavfi -i color=teal:size=64x64:rate=10 -frames:v 12 -c:v ffv1 still.mkv
      """)
    for (input, output, made, written) in [
      ("v.mp4", "o.mp4", 13, 13), ("v.mp4", "o.avi", 13, 30), ("still.mkv", "s.mkv", 1, 12),
      ("still.mkv", "s%02d.png", 1, 12),
    ] {
      let outcome = try video(input, "a fox", "--output", output, "--json")
      #expect(outcome.status == 0, "\(outcome.error)")
      let report = try #require(
        try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
      #expect(report["made"] as? Int == made && report["written"] as? Int == written, "\(report)")
    }
    let times = try probe("o.mp4", "packet=pts_time").compactMap {
      Double($0.split(separator: ",")[0])
    }
    #expect(times.count == 13 && abs((times.last ?? 0) - 29.0 / 30) < 0.001, "\(times)")
    #expect(try runner.files(".").filter { $0.hasSuffix(".png") }.count == 12)
  }

  @Test("Folders of outputs are created, and leave nothing behind if nothing is written")
  func newFolders() throws {
    try makeClip("clip.mp4")
    for output in ["frames/%04d.png", "new dir/deep/o.mp4"] {
      #expect(try video("clip.mp4", "a fox", "--output", output).status == 0)
    }
    #expect(try runner.files("frames") == ["0001.png", "0002.png", "0003.png"])
    #expect(try runner.files("new dir/deep") == ["o.mp4"])
    let outcome = try video("clip.mp4", "a fox", "--output", "clip.mp4/o.mp4")
    #expect(outcome.status == 73)
    #expect(outcome.error.contains("cannot create the folder"), "\(outcome.error)")
    #expect(try video("clip.mp4", "a fox", "--output", "gone/o.mp4", "--encoder", "x").status == 69)
    #expect(try !runner.files(".").contains("gone"))
  }

  @Test("Any format comes through a pipe, MP4 with its sound")
  func pipes() throws {
    try shell(
      """
      f -f lavfi -i testsrc2=size=96x64:rate=10:duration=0.4 -f lavfi -i sine=duration=0.4 \
        -c:a aac clip.mp4
      f -i clip.mp4 -c copy clip.mkv; f -i clip.mp4 -c copy clip.ts
      """)
    let quick = Self.quick.joined(separator: " ")
    for name in ["clip.mp4", "clip.mkv", "clip.ts"] {
      let outcome = try shell("cat \(name) | streamflow video - 'a fox' -o o-\(name).mp4 \(quick)")
      #expect(outcome.status == 0, "\(outcome.output)")
      let streams = try probe("o-\(name).mp4", "stream=codec_type,nb_read_frames", "-count_frames")
      #expect(streams.first == "video,4", "\(streams)")
      #expect(streams.count == (name == "clip.mp4" ? 2 : 1))
      #expect(
        outcome.output.contains("audio: aac omitted") == (name != "clip.mp4"), "\(outcome.output)")
    }
    for (name, input) in [("r.mp4", "- 'a fox' < clip.mp4"), ("n.mp4", "<(cat clip.mp4) 'a fox'")] {
      #expect(try shell("streamflow video -o \(name) \(quick) \(input)").status == 0)
      #expect(try probe(name, "stream=codec_type") == ["video", "audio"])
    }
  }

  @Test("Damaged middles, names of every kind and playlists in names")
  func oddities() throws {
    try makeClip("clip.mp4")
    try shell(
      #"cp clip.mp4 -- -x.mp4; cp clip.mp4 "$(printf "it's\nnew.mp4")"; cp clip.mp4 50%.mp4; "#
        + "cp clip.mp4 'concat:a|b.mp4'")
    for name in ["./-x.mp4", "it's\nnew.mp4", "concat:a|b.mp4", "50%.mp4"] {
      let outcome = try video(name, "a fox", "--output", "o.mp4", "--overwrite")
      #expect(outcome.status == 0, "\(name): \(outcome.error)")
      #expect(try probe("o.mp4", "stream=nb_read_frames", "-count_frames") == ["3"])
    }
    let refused = try video("concat:clip.mp4|./-x.mp4", "a fox", "--output", "p.mp4")
    #expect(refused.status == 66 && refused.error.contains("there is no file 'concat:"))
    let missing = try video("gone.mp4", "a fox", "--output", "p.mp4")
    #expect(missing.error == "error: there is no file 'gone.mp4'\n" && missing.output == "")
    // Packets in the middle are overwritten.
    try shell("f -f lavfi -i testsrc2=size=64x64:rate=10 -frames:v 30 -g 5 -bf 0 long.ts")
    var bytes = try Array(Data(contentsOf: URL(filePath: "\(folder.path)/long.ts")))
    for place in bytes.count / 3..<bytes.count / 2 where place % 188 > 20 { bytes[place] = 0xa5 }
    _ = try folder.write(bytes, as: "damaged.ts")
    let damaged = try video("damaged.ts", "a fox", "--output", "d.mp4")
    #expect(damaged.status == 0, "\(damaged.error)")
    #expect(damaged.error.contains("'damaged.ts' is damaged: ffmpeg reported "), "\(damaged.error)")
  }

  @Test("A folder's other files are named in the end")
  func otherFiles() throws {
    try makeClip("clip.mp4")
    try shell(
      "mkdir f; f -i clip.mp4 f/%d.jpg; mv f/2.jpg f/2.JFIF; cp f/1.jpg f/4.JPG; printf 'GIF89a' > f/5.gif"
    )
    let outcome = try video("f", "a fox", "--output", "o.mp4")
    #expect(outcome.output.hasPrefix("4 frames in "), "\(outcome.output) \(outcome.error)")
    #expect(outcome.output.contains("skipped 1 file: 5.gif (GIF)"))
  }
}
