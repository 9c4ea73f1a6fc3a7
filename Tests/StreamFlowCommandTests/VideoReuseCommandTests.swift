import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

/// `streamflow video` with frames that are reused and enlarged, run as a user runs it.
@Suite(.tags(.process, .ffmpeg)) struct VideoReuseCommandTests {
  private let runner: CommandRunner

  private static let quick = [
    "--batch-size", "2", "--steps", "1", "--seed", "1", "--output", "out.mkv",
  ]

  init() throws { runner = try CommandRunner() }

  private func report(_ arguments: String...) throws -> [String: Any] {
    let outcome = try runner.run(["video"] + arguments + Self.quick + ["--json", "--overwrite"])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
  }

  private func probe(_ name: String, _ entries: String) throws -> String {
    try runner.shell("ffprobe -v error -show_entries \(entries) -of default=nk=1:nw=1 \(name)")
      .output
  }

  @Test("Camera noise over a still scene is one image; the network runs on the region that moves")
  func reuse() throws {
    _ = try runner.shell(
      "ffmpeg -hide_banner -loglevel error -f lavfi -i "
        + "\"color=teal:size=128x128:rate=10,noise=alls=4:allf=t\" -frames:v 6 -c:v ffv1 still.mkv")
    let still = try report("still.mkv", "a fox", "--size", "128", "--hold-still")
    #expect(still["made"] as? Int == 1 && still["skipped"] as? Int == 5)
    #expect(still["written"] as? Int == 6)
    // A small square that moves in a corner.
    _ = try runner.shell(
      "ffmpeg -hide_banner -loglevel error -f lavfi -i color=teal:size=128x128:rate=10 -f lavfi -i "
        + "color=red:size=12x12:rate=10 -filter_complex \"overlay=x=2*n:y=4\" -frames:v 20 "
        + "-c:v ffv1 moving.mkv")
    let moving = try report("moving.mkv", "a fox", "--size", "128", "--region-margin", "8")
    #expect(moving["made"] as? Int == 20 && moving["failed"] as? Int == 0)
    // All frames but the first are regions: a file's frames wait for the engines of theirs.
    #expect(moving["regions"] as? Int == 19 && moving["partial_decodes"] is Int)
    #expect(
      try probe("out.mkv", "format_tags=comment")
        .contains("Hold still") == false)
    #expect(try probe("out.mkv", "format_tags=comment").contains("Region margin: 8"))
  }

  @Test("A video says how it was made and enlarged, after the comment of its input")
  func metadata() throws {
    _ = try runner.folder.write(TinyUpscaler.compact(), as: "tiny-x4.safetensors")
    _ = try runner.shell(
      "ffmpeg -hide_banner -loglevel error -f lavfi -i testsrc2=size=64x64:rate=10 -frames:v 2 "
        + "-metadata comment=\"shot at noon\" clip.mp4")
    let mask = ImageMask(
      width: 64, height: 64, coverage: (0..<4096).map { $0 % 64 < 32 ? 255 : 0 })
    _ = try runner.folder.write(
      PixelImage(width: 64, height: 64, pixels: mask.coverage.flatMap { [$0, $0, $0] }).png(),
      as: "mask.png")
    for name in ["out.mkv", "out.mp4"] {
      let outcome = try runner.run(
        [
          "video", "clip.mp4", "a fox, running", "--upscale", "4", "--upscaler",
          "tiny-x4.safetensors", "--mask", "mask.png", "--strength", "0.5",
        ]
          + Self.quick.dropLast() + [name])
      #expect(outcome.status == 0, "\(outcome.error)")
      let comment = try probe(name, "format_tags=comment")
      #expect(comment.hasPrefix("shot at noon"), "\(comment)")
      #expect(comment.contains("a fox, running\nSteps: 1, "), "\(comment)")
      #expect(comment.contains("Size: 64x64") && comment.contains("Denoising strength: 0.5"))
      #expect(
        comment.contains("Postprocess upscale by: 4, Postprocess upscaler: tiny-x4"), "\(comment)")
      // Whatever the format of the mask's file.
      #expect(comment.contains("Mask hash: \(mask.settingsHash)"), "\(comment)")
      #expect(try probe(name, "stream=width").contains("256"))
    }
  }

  @Test(
    "Settings out of their range are refused",
    arguments: [
      (["--change-threshold", "2"], "--change-threshold must be 0 to 1"),
      (["--latent-blend", "1"], "--latent-blend must be 0 to below 1"),
      (["--motion-response", "-1"], "--motion-response"),
      (["--region-margin", "5000"], "--region-margin must be 0 to 4096"),
      (["--region-margin", "8", "--seed-policy", "per-frame"], "the same noise for all images"),
    ])
  func refused(arguments: [String], message: String) throws {
    let outcome = try runner.run(["video", "clip.mp4", "a fox"] + arguments)
    #expect(outcome.status == 64 && outcome.error.contains(message), "\(outcome.error)")
  }
}
