import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage
@testable import FlowVideo

/// Frames as a screen shows them: shape, light, fields and transparency.
@Suite(.tags(.ffmpeg)) struct VideoConversionTests {
  private let clips: Clips

  init() throws { clips = try Clips() }

  /// The part of the image that is brighter than half: its width and height.
  private func brightExtent(_ image: PixelImage) -> PixelSize {
    var (columns, rows): (Set<Int>, Set<Int>) = ([], [])
    for y in 0..<image.height {
      for x in 0..<image.width where image.pixels[3 * (y * image.width + x) + 1] > 128 {
        columns.insert(x)
        rows.insert(y)
      }
    }
    return PixelSize(width: columns.count, height: rows.count)
  }

  @Test("A square stays a square, whatever the shape of the pixels", arguments: ["64/45", "3/4"])
  func aspect(ratio: String) async throws {
    let parts = ratio.split(separator: "/").compactMap { Double($0) }
    let aspect = parts[0] / parts[1]
    let (width, height) = (
      Int((40 / max(aspect, 1)).rounded()), Int((40 * min(aspect, 1)).rounded())
    )
    let file = try await clips.make(
      "a.mp4",
      [
        "-f", "lavfi", "-i",
        "color=black:size=90x72,drawbox=x=20:y=16:w=\(width):h=\(height):c=white:t=fill,"
          + "setsar=\(ratio)", "-frames:v", "1", "-qp", "0", "-pix_fmt", "yuv444p",
      ])
    let image = try await clips.frames(of: .file(file)).frames[0].image
    let extent = brightExtent(image)
    #expect(abs(extent.width - 40) <= 1 && abs(extent.height - 40) <= 1, "\(extent)")
    let size = try await VideoProbe().information(of: .file(file)).size
    #expect(size == PixelSize(width: image.width, height: image.height))
  }

  @Test(
    "High dynamic range becomes BT.709, white is bright", arguments: ["arib-std-b67", "smpte2084"])
  func highDynamicRange(transfer: String) async throws {
    try #require(try await clips.ffmpeg.canToneMap())
    // Reference white of BT.2408: 203 cd/m2, 75 % in HLG and 58 % in PQ.
    let file = try await clips.make(
      "a.mkv",
      [
        "-f", "lavfi", "-i", "color=white:size=64x64",
        "-vf",
        "format=gbrpf32le,zscale=pin=bt709:tin=bt709:min=gbr:rin=full:p=bt2020:t=\(transfer):"
          + "m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
        "-frames:v", "1", "-c:v", "libx265", "-x265-params", "log-level=none",
        "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc",
      ])
    let information = try await VideoProbe().information(of: .file(file))
    #expect(information.color.isHighDynamicRange)
    let image = try await clips.frames(of: .file(file)).frames[0].image
    #expect(image.pixels.allSatisfy { (205...255).contains($0) }, "\(image.pixels.prefix(3))")
  }

  @Test("Frames of fields are deinterlaced, progressive ones are left alone")
  func interlaced() async throws {
    // A bar that moves sideways: its edge is a comb where two fields are woven.
    let motion =
      "color=black:size=64x64:rate=50[a];color=white:size=16x64:rate=50[b];"
      + "[a][b]overlay=x='4*n':shortest=1"
    let woven = try await clips.make(
      "i.mkv",
      [
        "-f", "lavfi", "-i", "\(motion),tinterlace=interleave_top,setfield=tff", "-frames:v", "5",
        "-c:v", "libx264", "-qp", "0", "-flags", "+ildct+ilme", "-pix_fmt", "yuv420p",
      ])
    let frames = try await clips.frames(of: .file(woven)).frames
    #expect(frames.count == 5)
    func comb(_ image: PixelImage) -> Int {
      (1..<63).reduce(0) { count, y in
        count
          + (0..<64).filter { x in
            let at = { (row: Int) in Int(image.pixels[3 * (row * 64 + x)]) }
            return (at(y) - at(y - 1)) * (at(y) - at(y + 1)) > 10_000
          }.count
      }
    }
    #expect(frames[2...3].allSatisfy { comb($0.image) < 20 }, "\(frames.map { comb($0.image) })")
    let plain = try await clips.make(
      "p.mkv",
      ["-f", "lavfi", "-i", motion, "-frames:v", "5", "-c:v", "ffv1", "-pix_fmt", "yuv420p"])
    let raw = try await clips.make(
      "p.rgb",
      [
        "-i", plain, "-vf",
        "scale=flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix=smpte170m", "-f",
        "rawvideo", "-pix_fmt", "rgb24",
      ])
    let read = try await clips.frames(of: .file(plain)).frames
    #expect(try read.flatMap(\.image.pixels) == Array(Data(contentsOf: URL(filePath: raw))))
  }

  @Test(
    "Transparent pixels show the background",
    arguments: [
      ("a.mov", ["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"]),
      ("a.webm", ["-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p"]),
      ("a.gif", ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse"]),
      ("a.mkv", ["-c:v", "ffv1", "-pix_fmt", "bgra"]),
    ])
  func transparency(name: String, codec: [String]) async throws {
    let file = try await clips.make(
      name,
      [
        "-f", "lavfi", "-i",
        "color=blue:size=32x64:d=0.08,format=rgba[b];"
          + "color=red@0:size=32x64:d=0.08,format=rgba[r];[b][r]hstack",
        "-frames:v", "2",
      ] + codec)
    var reader = VideoReader(.file(file))
    reader.background = RGBColor(red: 0, green: 255, blue: 0)
    let image = try await reader.read { frames in
      try await frames.reduce(into: [PixelImage]()) { $0.append($1.image) }
    }[0]
    let (left, right) = (Array(image.pixels[36..<39]), Array(image.pixels[156..<159]))
    #expect(left[2] > 200 && left[1] < 60 && right[1] > 200 && right[0] < 60, "\(left) \(right)")
  }

  @Test("Numbers of 10 bits, one frame alone, and odd sizes are read")
  func corners() async throws {
    for (name, source, codec) in [
      ("ten.mkv", "testsrc=size=64x64", ["-c:v", "ffv1", "-pix_fmt", "yuv420p10le"]),
      ("odd.mkv", "testsrc=size=61x35", ["-c:v", "ffv1", "-pix_fmt", "yuv444p"]),
      ("still.gif", "testsrc=size=64x64", []),
    ] {
      let file = try await clips.make(
        name, ["-f", "lavfi", "-i", source, "-frames:v", "1"] + codec)
      let frames = try await clips.frames(of: .file(file)).frames
      #expect(frames.count == 1, "\(name)")
      #expect(frames[0].image.width == (name == "odd.mkv" ? 61 : 64), "\(name)")
    }
  }

  @Test("An image whose name has a % is that file")
  func percent() async throws {
    let image = PixelImage(width: 4, height: 2, pixels: [UInt8](repeating: 77, count: 24))
    let file = try clips.folder.write(image.png(), as: "50%.png")
    let source = VideoSource(parsing: file)
    #expect(source == .file(file))
    #expect(try await clips.frames(of: source).frames.map(\.image) == [image])
    let clip = try await clips.make(
      "a%d.mp4", ["-f", "lavfi", "-i", "testsrc2=size=64x48:duration=0.1"])
    #expect(try await clips.frames(of: VideoSource(parsing: clip)).frames.count == 3)
  }
}
