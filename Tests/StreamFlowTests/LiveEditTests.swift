import FlowCore
import FlowTestSupport
import Testing

@testable import StreamFlow

/// Masks and editing methods as settings of a live stream.
@Suite(.tags(.engine)) struct LiveEditTests {
  private static let mask = ImageMask(
    width: 64, height: 64, coverage: (0..<64 * 64).map { UInt8($0 % 64 < 24 ? 0 : 255) })

  @Test("A mask and an editing method take effect between two inputs, and each image is as alone")
  func changes() async throws {
    let inputs = (0..<9).map { LiveStreamTests.input($0, width: 64, height: 64) }
    let stream = try LiveStreamTests.stream()
    let frames = try await LiveStreamTests.run(stream, inputs: inputs) { index in
      guard index == 3 || index == 6 else { return }
      // Settings belong to inputs that are admitted after them.
      await stream.drain()
      _ = try await stream.update { settings in
        if index == 3 {
          (settings.mask, settings.maskBlur, settings.strength) = (Self.mask, 0, 1)
        } else {
          settings.mask = nil
          settings.strength = 0.8
          settings.request.prompt = "a fox on a red background"
          settings.request.editing = Editing(
            .flowEdit(), sourcePrompt: "a fox on a blue background")
        }
      }
    }
    #expect(frames.count == 9)
    #expect(frames.map { $0.settings.mask != nil } == (0..<9).map { (3..<6).contains($0) })
    #expect(frames.map { $0.settings.request.editing != nil } == (0..<9).map { $0 >= 6 })
    try await LiveStreamTests.expectAlone(frames, inputs: inputs)
    for frame in frames[3..<6] {
      let (image, input) = (try #require(frame.image), inputs[frame.index])
      for place in Self.mask.coverage.indices where Self.mask.coverage[place] == 0 {
        #expect(image.pixels[3 * place..<3 * place + 3] == input.pixels[3 * place..<3 * place + 3])
      }
    }
  }
}
