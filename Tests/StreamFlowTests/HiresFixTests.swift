import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Large images in two passes, with the starter model.
@Suite(.tags(.engine)) struct HiresFixTests {
  private let model: ImageModel

  init() throws {
    model = ImageModel(try .starter64(), engines: .ofTests)
  }

  private func requests(_ prompts: [String]) -> [GenerationRequest] {
    prompts.enumerated().map { index, prompt in
      var request = model.request(prompt, seed: UInt64(index) + 1)
      request.stepCount = 2
      return request
    }
  }

  private func hires(
    scale: Double = 1.5, strength: Double = 0.5, stepCount: Int? = nil,
    upscaler: Upscaler = .lanczos(on: .ofTests)
  ) throws -> HiresFix {
    try HiresFix(
      model: model, scale: scale, strength: strength, stepCount: stepCount, upscaler: upscaler)
  }

  @Test("The second pass is image-to-image from the enlarged first image, with the same seed")
  func passes() async throws {
    let requests = requests(["a fox", "a rocket", "grinning face"])
    let fix = try hires(stepCount: 1)
    var images: [Int: GeneratedImage] = [:]
    for try await image in try await fix.images(for: requests) { images[image.index] = image }
    #expect(images.keys.sorted() == [0, 1, 2])
    for (index, request) in requests.enumerated() {
      let made = try #require(images[index])
      #expect(made.image.width == 96 && made.image.height == 96)
      #expect(made.request == request)
      var first: [PixelImage] = []
      for try await image in try await model.generator(of: nil).images(for: [request]) {
        first.append(image.image)
      }
      var second = request
      second.size = PixelSize(width: 96, height: 96)
      second.stepCount = 1
      second.spacing = .uniform
      let large = LanczosEnlargement(size: PixelSize(width: 96, height: 96))(first[0])
      second.source = InputImage(image: large, strength: 0.5)
      for try await image in try await model.generator(of: second.size).images(for: [second]) {
        expectClose(
          made.image.pixels.map(Float.init), image.image.pixels.map(Float.init), tolerance: 1)
      }
      #expect(made.image.pixels != large.pixels)
    }
  }

  @Test("A network enlarges by the least factor that is enough, and the result is resampled")
  func network() async throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(TinyUpscaler.compact(), as: "x4.safetensors")
    let fix = try hires(upscaler: try await Upscaler.load(path, engines: .ofTests))
    let image = PixelImage(width: 64, height: 64, pixels: (0..<3 * 64 * 64).map { UInt8($0 % 251) })
    let enlarged = try await fix.enlarged(image)
    let expected = try await fix.upscaler.upscale(image, by: 2)
      .resampled(width: 96, height: 96, fit: ImageFit(.stretch))
    #expect(enlarged == expected)
  }

  @Test("Both passes and the upscaler after them stand in the settings")
  func settings() throws {
    let finish = ImageFinish(
      hires: try hires(scale: 2, strength: 0.4, stepCount: 3),
      upscaling: try Upscaling(.lanczos(on: .ofTests), by: 4))
    let text = finish.parameters("a fox\nSteps: 4, Size: 64x64")
    #expect(
      text == "a fox\nSteps: 4, Size: 64x64, Denoising strength: 0.4, Hires upscale: 2, "
        + "Hires steps: 3, Hires upscaler: Lanczos, Postprocess upscale by: 4, "
        + "Postprocess upscaler: Lanczos")
    let settings = GenerationSettings(parsing: text)
    #expect(settings.hiresScale == 2 && settings.hiresStepCount == 3 && settings.strength == 0.4)
    #expect(ImageFinish().parameters("a fox\nSteps: 4") == "a fox\nSteps: 4")
  }

  @Test("Numbers out of range and sizes that the model cannot make are refused")
  func refusals() throws {
    for (scale, strength, steps) in [(1.0, 0.5, nil), (4.1, 0.5, nil), (2, 0, nil), (2, 0.5, 0)]
      as [(Double, Double, Int?)]
    {
      let error = #expect(throws: ModelError.self) {
        try hires(scale: scale, strength: strength, stepCount: steps)
      }
      #expect(error?.code == .requestInvalid)
    }
    let fix = try hires(scale: 1.3)
    #expect(
      try fix.size(of: PixelSize(width: 64, height: 64)).width.isMultiple(
        of: model.checkpoint.sizeMultiple))
    #expect(throws: ModelError.self) { try fix.size(of: PixelSize(width: 16384, height: 64)) }
  }
}
