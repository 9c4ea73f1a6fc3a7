internal import ArgumentParser
internal import FlowCore
internal import StreamFlow

/// A benchmark suite.
enum BenchmarkSuite: String, CaseIterable, ExpressibleByArgument {
  /// One at a time, in flight together, int8.
  case quick
  /// The effect of each part (the paper's Figure 4).
  case ablation
  /// Images per second, processor time, energy, memory (Table 1).
  case efficiency
  /// Sizes from 64 to 1024 pixels (Figure 5).
  case resolution
  /// Whether faster configurations generate other images (Table 2).
  case quality
  /// The time of a row in each precision, and the difference of its images.
  case precision
  /// The time of a row by the number of rows of a batch, in each precision.
  case batching
  /// The error of every solver by its number of evaluations.
  case solvers
  /// The kernels that take the time, by the runtime's own measurement.
  case profile
  /// What live streams gain by doing only the work that changed.
  case live
  /// How often editing methods make a requested change, and what they preserve.
  case editing

  /// Whether it runs in this process.
  var isStudy: Bool { [.quality, .solvers, .profile, .live, .editing].contains(self) }
}

/// The cases of a suite, for one model at one size.
struct BenchmarkCases {
  let width: Int
  let height: Int
  let steps: Int
  /// The number of images in flight.
  let stages: Int
  /// The largest batch of the batching suite.
  let largestBatch: Int
  let hasFull: Bool
  let hasTiny: Bool
  let hasInt8: Bool
  /// Whether the device computes fastest in bfloat16, which is then measured beside float32.
  let prefersBFloat16: Bool
  /// Whether one row of the network uses the whole machine, so that an engine of more rows brings
  /// nothing.
  let runsSingly: Bool
  let peers: [BenchmarkPeer]

  func callAsFunction(_ suite: BenchmarkSuite) -> [BenchmarkCase] {
    switch suite {
    case .quick: [plain("1"), stream("2")] + int8(stream("3"))
    case .ablation: ablation
    case .efficiency: efficiency + peerCases
    case .resolution: [plain("1"), stream("2")] + int8(stream("3"))
    case .quality, .solvers, .profile, .live, .editing: []
    case .precision: precisions
    case .batching: batching
    }
  }

  /// The batch sizes that are compared: powers of two below the largest, and that.
  private var batchSizes: [Int] {
    sequence(first: 1) { 2 * $0 }.prefix { $0 < largestBatch } + [largestBatch]
  }

  /// Images in flight in batches of every size, in each precision.
  private var batching: [BenchmarkCase] {
    precisionNames.flatMap { name in
      batchSizes.map { rows in
        var entry = plain("\(name) \(rows)")
        (entry.precision, entry.stages, entry.engineRows) = (name, rows, rows)
        entry.label = "\(name), batch size \(rows)"
        return entry
      }
    }
  }

  private var efficiency: [BenchmarkCase] {
    var cases = [vanilla("1"), plain("2"), stream("3")]
    guard prefersBFloat16 else { return cases + int8(stream("4")) }
    cases += [vanilla("1b"), plain("2b"), stream("3b")].map { entry in
      var entry = entry
      (entry.precision, entry.label) = ("bf16", "\(entry.label), bf16")
      return entry
    }
    return cases
      + int8(stream("4"))
      + int8(stream("4b")).map { entry in
        var entry = entry
        (entry.precision, entry.label) = ("int8+bf16", "\(entry.label)+bf16")
        return entry
      }
  }

  /// The precisions that are compared.
  var precisionNames: [String] { ["f32", "bf16"] + (hasInt8 ? ["int8", "int8+bf16"] : []) }

  private var precisions: [BenchmarkCase] {
    precisionNames.enumerated().map { index, name in
      var entry = plain("\(index + 1)")
      (entry.precision, entry.label) = (name, "one at a time, \(name)")
      return entry
    }
  }

  private var peerCases: [BenchmarkCase] {
    peers.enumerated().compactMap { index, peer in
      guard !peer.needsFullAutoencoder || hasFull else { return nil }
      var entry = BenchmarkCase(
        number: "P\(index + 1)", label: peer.label, width: width, height: height)
      (entry.steps, entry.peer) = (steps, peer.command)
      return entry
    }
  }

  private var tiny: String { hasTiny ? "tiny" : "auto" }

  /// One image after another, guidance 7.5, the full autoencoder: the paper's baseline.
  private func vanilla(_ number: String) -> BenchmarkCase {
    var entry = BenchmarkCase(
      number: number,
      label: "one at a time, guidance 7.5" + (hasFull ? ", full autoencoder" : ""), width: width,
      height: height)
    (entry.vae, entry.steps, entry.stages) = (hasFull ? "full" : tiny, steps, 2)
    (entry.guidance, entry.guidanceScale, entry.decodeRows) = ("full", 7.5, 1)
    return entry
  }

  /// One image after another, one row a step, the tiny autoencoder.
  private func plain(_ number: String) -> BenchmarkCase {
    var entry = BenchmarkCase(
      number: number, label: "one at a time", width: width, height: height)
    (entry.vae, entry.steps, entry.stages) = (tiny, steps, 1)
    return entry
  }

  /// Images in flight together.
  private func stream(_ number: String) -> BenchmarkCase {
    var entry = plain(number)
    (entry.stages, entry.label) = (stages, "\(stages) in flight")
    if runsSingly { entry.engineRows = 1 }
    return entry
  }

  private func changed(
    _ number: String, _ label: String, _ change: (inout BenchmarkCase) -> Void
  ) -> BenchmarkCase {
    var entry = stream(number)
    entry.label += ", \(label)"
    change(&entry)
    return entry
  }

  /// The same in int8, if there are scales.
  private func int8(_ entry: BenchmarkCase) -> [BenchmarkCase] {
    guard hasInt8 else { return [] }
    var entry = entry
    (entry.precision, entry.label) = ("int8", "\(entry.label), int8")
    return [entry]
  }

  private var ablation: [BenchmarkCase] {
    var guided = vanilla("2")
    (guided.vae, guided.label) = (tiny, "one at a time, guidance 7.5, tiny autoencoder")
    var cases = [vanilla("1")]
    if hasFull, hasTiny { cases.append(guided) }
    cases += [plain("3"), stream("4")]
    cases += int8(plain("5a")) + int8(stream("5b"))
    for (letter, count) in zip("abc", [1, 2, 8]) where count != steps {
      cases.append(
        changed("6\(letter)", "\(count) \(count == 1 ? "step" : "steps")") {
          $0.steps = count
        })
    }
    for (letter, count) in zip("abc", [1, 2, 8]) where count <= stages {
      cases.append(changed("7\(letter)", "\(count) decoded together") { $0.decodeRows = count })
    }
    cases.append(
      changed("8a", "full guidance") {
        ($0.guidance, $0.guidanceScale, $0.stages) = ("full", 2, max($0.stages, 2))
      })
    cases.append(
      changed("8b", "onetime-negative guidance") {
        ($0.guidance, $0.guidanceScale, $0.stages) = ("onetime-negative", 2, max($0.stages, 2))
      })
    cases.append(changed("9", "image to image, strength 0.5") { $0.strength = 0.5 })
    if !runsSingly, stages > 1 {
      cases.append(changed("10", "in parts on an engine of one row") { $0.engineRows = 1 })
    }
    return cases + peerCases
  }
}
