import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// The sizes of reference images, which are those of diffusers' pipelines.
@Suite struct ReferenceReadingTests {
  private static func size(_ width: Int, _ height: Int) -> PixelSize {
    PixelSize(width: width, height: height)
  }

  @Test(
    "FLUX.2 reduces large images to a million pixels and crops all to multiples",
    arguments: [
      // Flux2ImageProcessor._resize_to_target_area, and multiples of 16.
      (size(72, 64), size(72, 64), size(64, 64)),
      (size(1024, 1024), size(1024, 1024), size(1024, 1024)),
      (size(4000, 3000), size(1182, 886), size(1168, 880)),
      (size(1025, 1024), size(1024, 1023), size(1024, 1008)),
      (size(500, 4000), size(362, 2896), size(352, 2896)),
    ])
  func cropped(image: PixelSize, resized: PixelSize, encoded: PixelSize) throws {
    let size = try ReferenceReading.cropped.size(of: image, area: nil, multiple: 16)
    #expect(size.resized == resized && size.encoded == encoded)
  }

  @Test(
    "Kontext stretches images to the nearest size of its training",
    arguments: [
      (size(1024, 1024), size(1024, 1024)), (size(64, 64), size(1024, 1024)),
      (size(1920, 1080), size(1392, 752)), (size(1080, 1920), size(752, 1392)),
      (size(100, 5000), size(672, 1568)), (size(640, 480), size(1184, 880)),
    ])
  func preferred(image: PixelSize, expected: PixelSize) throws {
    let size = try ReferenceReading.preferredSizes.size(of: image, area: nil, multiple: 16)
    #expect(size.resized == expected && size.encoded == expected)
    let own = try ReferenceReading.preferredSizes.size(of: image, area: 90_000, multiple: 16)
    #expect(own.resized == own.encoded && own.encoded.width * own.encoded.height <= 90_000)
  }

  @Test("An image of less than one patch has no size")
  func small() {
    for reading in [ReferenceReading.preferredSizes, .cropped] {
      #expect(throws: ModelError.self) {
        try reading.size(of: Self.size(15, 100), area: nil, multiple: 16)
      }
    }
  }

  @Test(
    "Keys and values of reference images with low-bit weights are near those with floats",
    .tags(.engine), arguments: [WeightCompression.int8, .int4])
  func lowBits(compression: WeightCompression) async throws {
    let checkpoint = try Checkpoint(folder: Bundle.module.fixture("pipelines/flux2"))
    let family = try #require(checkpoint.family as? Flux2)
    let sizes = [LatentSize(height: 4, width: 3)]
    var noise = GaussianNoise(seed: 8)
    let latents = ContiguousArray(
      noise.latents(shape: [family.transformer.channels, 4, 3]).scalars)
    var tables: [[Float]] = []
    for weights in [
      checkpoint.networkWeights, checkpoint.networkWeights.compressed(to: compression, from: 1),
    ] {
      let graph = try family.referenceTable(of: sizes, weights: weights.root)
      let program = try await Program.shared(
        GraphModule(graph, weightsIdentity: weights.identity))
      program.write(family.referenceInput(0), latents.span)
      program.write("timestep", ContiguousArray<Float>([0]).span)
      try program.run()
      tables.append(
        program.read(family.referenceTableInput, as: Float.self) { span in
          span.indices.map { span[$0] }
        })
    }
    expectClose(
      tables[1], tables[0], relativeTolerance: compression == .int8 ? 0.05 : 0.5)
    #expect(tables[0] != tables[1])
  }
}
