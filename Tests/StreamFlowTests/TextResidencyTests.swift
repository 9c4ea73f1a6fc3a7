import FlowCore
import FlowEngine
import FlowModels
import FlowTestSupport
import Testing

@testable import StreamFlow

/// Text encoders that are in memory only while they encode.
@Suite(.tags(.engine)) struct TextResidencyTests {
  private static func requests() -> [GenerationRequest] {
    let things = ["fox", "rocket", "pizza", "tree", "guitar", "cat", "sun", "whale", "crab", "owl"]
    return things.flatMap { [$0, "\($0) on a blue background"] }.enumerated().map { index, prompt in
      var request = GenerationRequest(prompt: prompt)
      (request.seed, request.stepCount) = (UInt64(index), 1 + index % 3)
      if index == 4 {
        request.guidance = .full(scale: 2)
        request.negativePrompt = "red"
      }
      return request
    }
  }

  private static func images(
    _ residency: TextResidency
  ) async throws -> (images: [Int: [UInt8]], texts: Int) {
    var options = GeneratorOptions()
    (options.rowCapacity, options.textResidency) = (4, residency)
    let generator = try Generator(
      checkpoint: .starter64(), options: options, engines: .ofTests)
    let other = try await generator.images(for: Array(requests().suffix(3)), client: "other")
    var images: [Int: [UInt8]] = [:]
    for try await image in try await generator.images(for: requests()) {
      images[image.index] = image.image.pixels
    }
    for try await image in other { images[100 + image.index] = image.image.pixels }
    let engines = await generator.statistics.engines
    return (images, engines.count { $0.name.hasPrefix("text_encoder") })
  }

  @Test("Images are the same whether the text encoders are kept or released, for all prompts")
  func sameImages() async throws {
    let (kept, keptLoads) = try await Self.images(.kept)
    let (released, releasedLoads) = try await Self.images(.released)
    #expect(kept.count == 23 && kept == released)
    #expect(keptLoads == 1 && releasedLoads > 1)
  }

  @Test("Text encoders are released where memory does not hold them beside the network")
  func choice() throws {
    let checkpoint = try Checkpoint.starter64()
    func isReleased(_ residency: TextResidency, _ network: Int, _ available: Int?) -> Bool {
      residency.isReleased(checkpoint, besideNetworkOf: network, available: available)
    }
    #expect(isReleased(.released, 0, nil) && !isReleased(.kept, .max, 0))
    // Small ones are kept in any case: loading them costs more than they take.
    #expect(!isReleased(.automatic, 1 << 40, 1 << 30))
    #expect(!isReleased(.automatic, 1 << 40, nil))
  }
}
