import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `streamflow video` with the real ffmpeg, run as a user runs it.
@Suite(.tags(.process, .ffmpeg)) struct VideoCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  /// Small and quick, and nothing to be measured first.
  private static let quick = ["--batch-size", "2", "--steps", "2", "--seed", "1"]

  init() throws { runner = try CommandRunner() }

  private func video(_ arguments: String...) throws -> CommandRunner.Outcome {
    try runner.run(["video"] + arguments + Self.quick)
  }

  /// Runs a shell line in the test's folder, `streamflow` being the built command.
  @discardableResult
  private func shell(_ line: String) throws -> (status: Int32, output: String) {
    try runner.shell(line)
  }

  /// Makes a clip that grows brighter frame by frame, with a tone.
  private func makeClip(_ name: String, frames: Int = 12, rate: Int = 24) throws {
    let duration = String(format: "%.4f", Double(frames) / Double(rate))
    try shell(
      """
      ffmpeg -hide_banner -loglevel error -f lavfi \
      -i "color=black:size=96x64:rate=\(rate),geq=lum='60+N*150/\(frames)':cb=128:cr=128" \
      -f lavfi -i "sine=frequency=440" -frames:v \(frames) -t \(duration) \
      -c:v libx264 -qp 4 -pix_fmt yuv420p -c:a aac \(name)
      """)
  }

  private func probe(_ name: String, _ entries: String) throws -> [String] {
    try shell(
      "ffprobe -v error -count_frames -show_entries \(entries) -of default=nk=1:nw=1 \(name)"
    ).output.split(separator: "\n").map(String.init)
  }

  /// The brightness of each frame of a file.
  private func brightness(_ name: String, width: Int, height: Int) throws -> [Double] {
    try shell(
      "ffmpeg -hide_banner -loglevel error -i \(name) -f rawvideo -pix_fmt gray frames.gray")
    let bytes = try Data(contentsOf: URL(filePath: "\(folder.path)/frames.gray"))
    let size = width * height
    return (0..<bytes.count / size).map { frame in
      Double(bytes[frame * size..<(frame + 1) * size].reduce(0) { $0 + Int($1) }) / Double(size)
    }
  }

  @Test("The output has every frame of a file in order, with its duration and audio")
  func file() throws {
    try makeClip("clip.mp4")
    let outcome = try video(
      "clip.mp4", "a fox", "--strength", "0.02", "--guidance", "none", "--output", "fox.mp4",
      "--width", "64", "--height", "64", "--fit", "stretch", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    for (key, value) in [
      ("frames", 12), ("made", 12), ("written", 12), ("skipped", 0), ("dropped", 0), ("failed", 0),
    ] { #expect(report[key] as? Int == value, "\(key)") }
    #expect(
      try probe("fox.mp4", "stream=codec_name,width,height,r_frame_rate,nb_read_frames")
        == ["h264", "64", "64", "24/1", "12", "aac"]
        + probe("clip.mp4", "stream=nb_read_frames").suffix(1).map { _ in "0/0" }
        + probe("clip.mp4", "stream=nb_read_frames").suffix(1))
    let levels = try brightness("fox.mp4", width: 64, height: 64)
    #expect(zip(levels, levels.dropFirst()).allSatisfy { $0 < $1 }, "\(levels)")
  }

  @Test("Parts, every second frame and a preview beside it")
  func parts() throws {
    try makeClip("clip.mp4", frames: 24)
    let outcome = try video(
      "clip.mp4", "sushi", "--start", "0.25", "--duration", "0:00:00.5", "--every", "2",
      "--output", "part.mkv", "--mute", "--preview", "side-by-side", "--frame-buffer", "3")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(
      try probe("part.mkv", "stream=codec_name,width,height,r_frame_rate,nb_read_frames")
        == ["h264", "160", "52", "12/1", "6"])
    #expect(outcome.output.hasPrefix("6 frames in "))
  }

  @Test("What is still is skipped, and its image shown again")
  func filter() throws {
    try shell(
      "ffmpeg -hide_banner -loglevel error -f lavfi -i color=teal:size=64x64:rate=10 -frames:v 15 "
        + "still.mp4")
    let outcome = try video(
      "still.mp4", "a fox", "--similar", "0.99", "--certain", "--max-skips", "6", "--json",
      "--output", "out.mp4")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(report["made"] as? Int == 3 && report["skipped"] as? Int == 12)
    #expect(try probe("out.mp4", "stream=nb_read_frames") == ["15"])
  }

  @Test("Standard input to standard output, between two of ffmpeg")
  func pipes() throws {
    try makeClip("clip.mp4", frames: 5)
    let line =
      "ffmpeg -hide_banner -loglevel error -i clip.mp4 -f yuv4mpegpipe -pix_fmt yuv444p - "
      + "| streamflow video - 'a fox' --output - \(Self.quick.joined(separator: " ")) "
      + "| ffmpeg -hide_banner -loglevel error -y -f yuv4mpegpipe -i - piped.mkv"
    let outcome = try shell(line)
    #expect(outcome.status == 0)
    #expect(try probe("piped.mkv", "stream=nb_read_frames,width") == ["80", "5"])
  }

  @Test(
    "Ctrl-C and a closing terminal leave a file that plays", arguments: [SIGINT, SIGHUP])
  func interrupt(signal: Int32) throws {
    let process = runner.process(
      ["video", "lavfi:testsrc2=size=64x64:rate=20", "a fox", "--output", "stopped.mp4"]
        // Large frames are in the file soon.
        + ["--scale-output", "8"] + Self.quick)
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    // A child of tests that were started by nohup would ignore it.
    _ = Foundation.signal(SIGHUP, SIG_DFL)
    try process.run()
    // Until frames are in the file, which is under its own name only at the end.
    func isBegun() throws -> Bool {
      try runner.files(".").contains { name in
        let path = "\(folder.path)/\(name)"
        return try name.contains("stopped")
          && (FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0) > 1000
      }
    }
    while try !isBegun(), process.isRunning { usleep(20_000) }
    kill(process.processIdentifier, signal)
    // A closing terminal sends its signal more than once: the shell does, and the kernel.
    if signal == SIGHUP {
      usleep(20_000)
      kill(process.processIdentifier, signal)
    }
    let words = String(
      decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 130, "\(words)")
    #expect(words.contains("stopped: ") && words.contains(" written to stopped.mp4"), "\(words)")
    #expect(!words.contains("error"), "\(words)")
    let count = try probe("stopped.mp4", "stream=nb_read_frames").first.flatMap { Int($0) }
    #expect(try #require(count) > 0)
  }

  @Test(
    "A screen is a source",
    .enabled(
      if: FileManager.default.isExecutableFile(atPath: "/usr/bin/Xvfb"),
      "needs Xvfb: apt-get install xvfb"))
  func screen() throws {
    let outcome = try shell(
      """
      Xvfb :97 -screen 0 160x120x24 -nolisten tcp >/dev/null 2>&1 & server=$!
      for i in $(seq 50); do [ -e /tmp/.X11-unix/X97 ] && break; sleep 0.1; done
      streamflow video --screen :97 'a fox' --fps 5 --duration 2 --output screen.mp4 --json \
        \(Self.quick.joined(separator: " ")); status=$?
      # A child of the tests has SIGTERM blocked.
      kill -KILL $server; exit $status
      """)
    #expect(outcome.status == 0, "\(outcome.output)")
    let frames = try probe("screen.mp4", "stream=nb_read_frames,width")
    #expect(frames.first == "76")
    // Two seconds of five frames; the first may be late, the last cut.
    #expect((8...12).contains(frames.last.flatMap { Int($0) } ?? 0), "\(frames)")
  }

  @Test("Mistakes are one line with the remedy, and leave no file")
  func mistakes() throws {
    try makeClip("clip.mp4", frames: 2)
    try shell("ffmpeg -hide_banner -loglevel error -f lavfi -i sine -t 0.2 tone.wav")
    _ = try folder.write(Array("no video".utf8), as: "broken.mp4")
    for (arguments, environment, status, message) in [
      (["clip.mp4"], [:], 64, "Needs an input and a prompt"),
      (["nowhere.mp4", "a fox"], [:], 66, "error: there is no file 'nowhere.mp4'"),
      (["broken.mp4", "a fox"], [:], 66, "broken.mp4"),
      (["tone.wav", "a fox"], [:], 65, "it has no video stream"),
      (["clip.mp4", "a fox", "--output", "clip.mp4"], [:], 64, "replace the input"),
      (["clip.mp4", "a fox", "--output", "clip.xyz"], [:], 65, "xyz"),
      (["clip.mp4", "a fox", "--similar", "2"], [:], 64, "--similar must be 0 to 1"),
      (["clip.mp4", "a fox", "--width", "65"], [:], 64, "width must be a multiple of 4"),
      (["clip.mp4", "a fox"], ["STREAMFLOW_FFMPEG": "/nowhere/ffmpeg"], 69, "ffmpeg"),
    ] as [([String], [String: String], Int32, String)] {
      let outcome = try runner.run(
        ["video"] + arguments + Self.quick,
        environment: environment)
      #expect(outcome.status == status, "\(arguments): \(outcome.status) \(outcome.error)")
      #expect(outcome.error.contains(message), "\(outcome.error)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out.mp4"))
    }
    #expect(try probe("clip.mp4", "stream=nb_read_frames").first == "2")
  }
}
