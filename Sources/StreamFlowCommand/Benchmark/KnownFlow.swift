internal import FlowCore
internal import Foundation

/// A flow in one dimension from standard normal noise to known data: its velocity and its ends are
/// formulas.
struct KnownFlow {
  /// A part of the data: a normal distribution.
  struct Mode {
    let weight: Double
    let mean: Double
    let deviation: Double
  }

  let name: String
  let modes: [Mode]

  static let all = [
    KnownFlow(
      name: "one normal distribution", modes: [Mode(weight: 1, mean: 1, deviation: 0.5)]),
    KnownFlow(
      name: "two modes",
      modes: [
        Mode(weight: 0.7, mean: -1, deviation: 0.2), Mode(weight: 0.3, mean: 1, deviation: 0.2),
      ]),
  ]

  /// The expected `noise - data` of a sample.
  func velocity(_ sample: Double, sigma: Double) -> Double {
    var (sum, total) = (0.0, 0.0)
    for mode in modes {
      let clean = (1 - sigma) * mode.deviation
      let variance = clean * clean + sigma * sigma
      let distance = sample - (1 - sigma) * mode.mean
      let likelihood =
        mode.weight * exp(-distance * distance / (2 * variance)) / variance.squareRoot()
      let noise = sigma * distance / variance
      let data = mode.mean + clean * mode.deviation * distance / variance
      sum += likelihood * (noise - data)
      total += likelihood
    }
    return total > 0 ? sum / total : 0
  }

  /// The data at which the flow ends from some noise: in one dimension the flow keeps quantiles.
  func end(from noise: Double) -> Double {
    let quantile = Self.normalFraction(below: noise)
    var (low, high) = (-20.0, 20.0)
    for _ in 0..<80 {
      let middle = (low + high) / 2
      let fraction = modes.reduce(0) {
        $0 + $1.weight * Self.normalFraction(below: (middle - $1.mean) / $1.deviation)
      }
      if fraction < quantile { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  private static func normalFraction(below value: Double) -> Double {
    erfc(-value / 2.0.squareRoot()) / 2
  }

  /// The noise at evenly spaced quantiles.
  static func quantiles(_ count: Int) -> [Double] {
    (0..<count).map { index in
      let fraction = (Double(index) + 0.5) / Double(count)
      var (low, high) = (-10.0, 10.0)
      for _ in 0..<80 {
        let middle = (low + high) / 2
        if normalFraction(below: middle) < fraction { low = middle } else { high = middle }
      }
      return (low + high) / 2
    }
  }

  /// The end of a plan from some noise.
  ///
  /// - Parameters:
  ///   - plan: a plan whose network predicts `data - noise`.
  ///   - noise: the first sample.
  ///   - generator: the source of fresh noise.
  func end(of plan: StepPlan, from noise: Double, _ generator: inout NormalNumbers) -> Double {
    var (sample, memory) = (noise, 0.0)
    for row in plan.rows {
      let output = -velocity(sample, sigma: Double(row.timestep) / 1000)
      let fresh = row.noise == 0 ? 0 : row.noise * generator.next()
      sample = row.sample * sample + row.output * output + row.memory * memory + fresh
      memory = row.memoryDecay * memory + row.memoryGain * output
    }
    return sample
  }
}

/// Standard normal numbers of a seed (Box and Muller, 1958, over SplitMix64).
struct NormalNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  private mutating func uniform() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return (Double((bits ^ (bits >> 31)) >> 11) + 0.5) * 0x1p-53
  }

  mutating func next() -> Double {
    (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform())
  }
}
