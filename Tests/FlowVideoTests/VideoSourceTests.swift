import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage
@testable import FlowVideo

@Suite struct VideoSourceTests {
  @Test(
    "A rate is read as ffmpeg writes it, a rounded one as the fraction that it means",
    arguments: [
      ("25", FrameRate(25)), ("30000/1001", FrameRate(30_000, per: 1001)),
      ("29.97", FrameRate(30_000, per: 1001)), ("23.98", FrameRate(24_000, per: 1001)),
      ("59.94", FrameRate(60_000, per: 1001)), ("12.5", FrameRate(25, per: 2)),
      ("50/2", FrameRate(25)), ("0.5", FrameRate(1, per: 2)),
    ])
  func rates(text: String, rate: FrameRate) {
    #expect(FrameRate(text) == rate)
    #expect(FrameRate(rate.description) == rate)
  }

  @Test(
    "An invalid rate is rejected", arguments: ["0/0", "0", "-1", "1/0", "nan", "", "1/2/3", "9e99"])
  func wrongRates(text: String) { #expect(FrameRate(text) == nil) }

  @Test("Frame times do not drift: frame 30,000 of NTSC begins at 1001 seconds")
  func times() {
    let rate = FrameRate(30_000, per: 1001)
    #expect(rate.time(ofFrame: 30_000) == .seconds(1001))
    #expect(rate.time(ofFrame: 1) == .nanoseconds(33_366_666))
    #expect(Duration.milliseconds(1500).decimalSeconds == "1.500000")
    #expect(Duration.microseconds(3_000_007).decimalSeconds == "3.000007")
  }

  @Test("A word of a command line is the source that it looks like")
  func parsing() throws {
    let folder = try TemporaryFolder()
    let odd = try folder.write([1], as: "100%d.mp4")
    let rate = FrameRate(25)
    #expect(VideoSource(parsing: "-") == .standardInput(.detected([])))
    #expect(VideoSource(parsing: "lavfi:testsrc2") == .generated("testsrc2"))
    #expect(VideoSource(parsing: "/dev/video0") == .camera("/dev/video0"))
    #expect(VideoSource(parsing: ":0.0") == .screen(":0.0"))
    #expect(VideoSource(parsing: ":99", rate: rate) == .screen(":99", rate: rate))
    #expect(VideoSource(parsing: folder.path) == .pictures(folder.path, rate: rate))
    #expect(VideoSource(parsing: "a/%04d.png") == .pictures("a/%04d.png", rate: rate))
    #expect(VideoSource(parsing: odd) == .file(odd))
    #expect(VideoSource(parsing: "https://h/%20.mp4") == .file("https://h/%20.mp4"))
  }

  @Test("A path is a path to ffmpeg, whatever it begins with; an address is one")
  func addresses() {
    #expect(VideoInput.address(of: "-i") == "file:-i")
    #expect(VideoInput.address(of: "12:30.mp4") == "file:12:30.mp4")
    #expect(VideoInput.address(of: "concat:a|b") == "file:concat:a|b")
    #expect(VideoInput.address(of: "rtsp://camera/1") == "rtsp://camera/1")
  }

  @Test("ffmpeg is found by its variable, then by PATH; where it is not, a line says what to do")
  func located() throws {
    let found = try FFmpeg.located()
    #expect(try FFmpeg.located(environment: ["STREAMFLOW_FFMPEG": found.path]).path == found.path)
    let missing = #expect(throws: MediaError.self) {
      try FFmpeg.located(environment: ["PATH": "/nowhere"])
    }
    #expect(missing?.code == .ffmpegMissing)
    #expect(
      missing?.message == """
        ffmpeg was not found; video needs it: apt-get install ffmpeg (Debian, Ubuntu) or brew \
        install ffmpeg (macOS), or set STREAMFLOW_FFMPEG to its path
        """)
    let wrong = #expect(throws: MediaError.self) {
      try FFmpeg.located(environment: ["STREAMFLOW_FFMPEG": "/nowhere/ffmpeg"])
    }
    #expect(wrong?.message.hasPrefix("STREAMFLOW_FFMPEG is '/nowhere/ffmpeg'") == true)
  }

  @Test("The reading rate is the average of a constant rate, else the nominal one up to 60")
  func readingRates() {
    func rate(_ average: String, _ nominal: String) -> FrameRate {
      VideoInformation(
        size: PixelSize(width: 1, height: 1), averageRate: FrameRate(average),
        nominalRate: FrameRate(nominal), codec: "", color: VideoColor(), audioCodecs: []
      ).readingRate
    }
    #expect(rate("30000/1001", "30000/1001") == FrameRate(30_000, per: 1001))
    #expect(rate("120/1", "120/1") == FrameRate(120))
    #expect(rate("24503/1000", "30/1") == FrameRate(30))
    #expect(rate("29/1", "90000/1") == FrameRate(60))
    #expect(rate("0/0", "30/1") == FrameRate(30))
    #expect(rate("0/0", "0/0") == FrameRate(25))
  }

  @Test("The log keeps its last 8 KB, and tells what failed without addresses")
  func log() async {
    let log = FFmpegLog()
    await log.append(Array("[mov @ 0x55ab] [error] moov atom not found\n".utf8))
    await log.append(Array("[error] Conversion failed!\r[info] bye\n".utf8))
    #expect(await log.failure == "moov atom not found")
    for index in 0..<1000 { await log.append(Array("[warning] line \(index)\n".utf8)) }
    #expect(await log.lines.map(\.utf8.count).reduce(0, +) <= FFmpegLog.limit)
    #expect(await log.lines.last == "[warning] line 999")
    await log.append([UInt8](repeating: 65, count: 100_000))
    await log.append([10])
    #expect(await log.lines.count == 1)
  }
}
