import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore

@Suite struct ArcMixTests {
  @Test("A third of the way from one axis to another is 30 degrees")
  func axes() {
    let (x, y) = ([Float(1), 0], [Float(0), 1])
    let mix = ArcMix(from: x.span, to: y.span, fraction: 1.0 / 3)
    expectClose([mix(1, 0), mix(0, 1)], [0.866_025_4, 0.5], tolerance: 1e-6)
  }

  @Test("The same direction, the opposite one and nothing at all are mixed along the line")
  func line() {
    for (one, other) in [
      ([Float(1), 2], [Float(2), 4]), ([1, 2], [-1, -2]), ([0, 0], [3, 1]),
    ] {
      let mix = ArcMix(from: one.span, to: other.span, fraction: 0.25)
      #expect(mix.first == 0.75 && mix.second == 0.25)
    }
  }

  @Test("Noise between two seeds keeps its spread, and its ends are the seeds' own noise")
  func noise() {
    func draw(_ fraction: Double) -> [Latents] {
      var noise = GaussianNoise(
        mixing: GaussianNoise(seed: 1), with: GaussianNoise(seed: 2), fraction: fraction)
      return [noise.latents(shape: [64, 64]), noise.latents(shape: [64, 64])]
    }
    var (one, other) = (GaussianNoise(seed: 1), GaussianNoise(seed: 2))
    let shape: Shape = [64, 64]
    #expect(draw(0) == [one.latents(shape: shape), one.latents(shape: shape)])
    #expect(draw(1) == [other.latents(shape: shape), other.latents(shape: shape)])
    // Each column of a channel keeps its length: a plain computation of AUTOMATIC1111's formula.
    var mixed = GaussianNoise(
      mixing: GaussianNoise(seed: 1), with: GaussianNoise(seed: 2), fraction: 0.3)
    (one, other) = (GaussianNoise(seed: 1), GaussianNoise(seed: 2))
    let (first, second) = (one.latents(shape: [2, 5, 3]), other.latents(shape: [2, 5, 3]))
    var expected = [Float](repeating: 0, count: 30)
    for channel in 0..<2 {
      for x in 0..<3 {
        let places = (0..<5).map { channel * 15 + $0 * 3 + x }
        let (a, b) = (
          places.map { Double(first.scalars[$0]) }, places.map { Double(second.scalars[$0]) }
        )
        func product(_ a: [Double], _ b: [Double]) -> Double {
          zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let omega = acos(product(a, b) / (product(a, a) * product(b, b)).squareRoot())
        for (index, place) in places.enumerated() {
          expected[place] = Float(
            (sin(0.7 * omega) * a[index] + sin(0.3 * omega) * b[index]) / sin(omega))
        }
      }
    }
    // Coefficients in single precision.
    expectClose(mixed.latents(shape: [2, 5, 3]).scalars, expected, tolerance: 2e-6)
    for latents in draw(0.5) {
      let variance = latents.scalars.reduce(0) { $0 + $1 * $1 } / Float(latents.scalars.count)
      #expect(abs(variance - 1) < 0.1)  // four standard deviations of 4096 squares
    }
  }
}
