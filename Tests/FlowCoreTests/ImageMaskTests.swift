import FlowCore
import FlowTestSupport
import Testing

@Suite struct ImageMaskTests {
  private static func mask(_ rows: [[UInt8]]) -> ImageMask {
    ImageMask(width: rows[0].count, height: rows.count, coverage: rows.flatMap { $0 })
  }

  @Test("A drawn mask repaints where it is white, by Pillow's luma")
  func luma() {
    let image = PixelImage(
      width: 3, height: 1, pixels: [255, 255, 255, 0, 0, 0, 255, 0, 0])
    let mask = ImageMask(luma: image)
    #expect(mask.coverage == [255, 0, 76])
    #expect(mask.inverted.coverage == [0, 255, 179])
    #expect(mask.image.pixels == [255, 255, 255, 0, 0, 0, 76, 76, 76])
  }

  @Test("Bounds hold every pixel that is repainted")
  func bounds() {
    let mask = Self.mask([[0, 0, 0, 0], [0, 0, 1, 0], [0, 255, 0, 0], [0, 0, 0, 0]])
    #expect(mask.bounds == PixelRegion(x: 1, y: 1, width: 2, height: 2))
    #expect(Self.mask([[0, 0]]).bounds == nil && Self.mask([[0, 0]]).isEmpty)
  }

  @Test("A cell is repainted where a pixel of it is at least half covered")
  func cells() {
    let mask = Self.mask([[0, 127, 128, 0], [0, 0, 0, 0], [0, 0, 0, 0], [255, 0, 0, 0]])
    #expect(mask.cells(side: 2) == Latents(shape: [1, 2, 2], scalars: [0, 1, 1, 0]))
  }

  @Test("A soft edge lies inside the mask: it rises from 0 at the edge, and is 255 far inside")
  func feather() {
    let half = ImageMask(
      width: 32, height: 3,
      coverage: (0..<3).flatMap { _ in (0..<32).map { UInt8($0 < 16 ? 0 : 255) } })
    let weights = half.feathered(radius: 2).coverage
    #expect(weights[0..<16].allSatisfy { $0 == 0 })
    // Twice the normal distribution at 0.5 pixels over 2, less 1, and so on.
    #expect(abs(Int(weights[16]) - 50) <= 2 && abs(Int(weights[17]) - 139) <= 2)
    #expect(weights[24..<32].allSatisfy { $0 == 255 })
    #expect(zip(weights[15..<31], weights[16..<32]).allSatisfy { $0 <= $1 })
    #expect(half.feathered(radius: 0) == half)
  }

  @Test("An overlay changes no byte where its weight is 0, and is itself where that is 255")
  func overlay() {
    let image = PixelImage(width: 3, height: 1, pixels: [10, 20, 30, 40, 50, 60, 70, 80, 90])
    let other = PixelImage(width: 3, height: 1, pixels: [UInt8](repeating: 200, count: 9))
    let result = image.overlaid(with: other, where: Self.mask([[0, 255, 51]]))
    #expect(result.pixels == [10, 20, 30, 200, 200, 200, 96, 104, 112])
  }

  @Test("A part that is cut out and pasted back is where it was")
  func crop() {
    let image = PixelImage(
      width: 4, height: 3, pixels: (0..<36).map { UInt8($0 * 7 % 256) })
    let region = PixelRegion(x: 1, y: 1, width: 2, height: 2)
    let part = image.cropped(to: region)
    #expect(part.pixels[0..<3] == image.pixels[15..<18])
    #expect(image.replacing(x: 1, y: 1, with: part) == image)
    let mask = Self.mask([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    #expect(mask.cropped(to: region).coverage == [5, 6, 9, 10])
  }

  @Test(
    "What a mask holds is, after every step, the source with the first noise of the next level",
    arguments: [Solver.euler, .heun, .midpoint, .fireFlow, .adamsBashforth2])
  func held(solver: Solver) throws {
    let shape: Shape = [2, 2, 2]
    let source = Latents(shape: shape, scalars: (0..<8).map { Float($0) / 4 - 1 })
    let mask = Latents(shape: [1, 2, 2], scalars: [1, 0, 0, 0.5])
    let plan = try FlowMatchingSchedule().plan(stepCount: 5, solver: solver)
    var drawing = GaussianNoise(seed: 3, source: .cpu)
    let noise = drawing.latents(shape: shape)
    var batch = StreamBatch<Float>(rowCapacity: 1)
    batch.admit(
      Trajectory(
        id: 0, plan: plan, prompted: 1, reference: source, mask: mask,
        noise: GaussianNoise(seed: 3, source: .cpu), shape: shape))
    var field = KnownField(rowCapacity: 1) { sample, _, _ in 0.3 * sample + 0.1 }
    while !batch.isEmpty {
      try batch.advance(along: &field)
      guard let trajectory = batch.inFlight.first else { break }
      let stage = trajectory.stage
      let sigma = stage < plan.rows.count ? Float(plan.rows[stage].timestep) / 1000 : 0
      for channel in 0..<2 {
        for pixel in [1, 2] {
          let index = 4 * channel + pixel
          let held = (1 - sigma) * source.scalars[index] + sigma * noise.scalars[index]
          #expect(abs(trajectory.sample.scalars[index] - held) < 1e-5, "row \(stage)")
        }
        #expect(trajectory.sample.scalars[4 * channel] != source.scalars[4 * channel])
      }
      _ = batch.retire()
    }
  }
}
