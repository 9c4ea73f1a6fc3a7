internal import Foundation

/// Times cases in turns, A B C A B C, so that what else the machine does befalls all alike.
struct BenchmarkRunner {
  /// How often each is timed.
  let rounds: Int
  /// About how long each is timed in a round.
  let secondsPerRun: Double
  /// Whether processes stay between rounds; those of a large model have not room beside each other.
  let keepsProcesses: Bool
  let command: (BenchmarkCase) -> [String]
  let progress: (String) -> Void

  /// Times them all; what fails is told, and the rest goes on.
  func callAsFunction(_ cases: [BenchmarkCase]) throws -> [BenchmarkResult] {
    var results = cases.map(BenchmarkResult.init)
    var workers: [Int: BenchmarkWorker] = [:]
    defer { for worker in workers.values { worker.end() } }
    for round in 0..<rounds {
      for (index, entry) in cases.enumerated() where results[index].failure == nil {
        try Task.checkCancellation()
        progress("round \(round + 1) of \(rounds): \(entry.label)")
        do {
          let worker = try workers[index] ?? BenchmarkWorker(command(entry))
          workers[index] = worker
          if results[index].readySeconds == nil {
            results[index].readySeconds = worker.readySeconds
          }
          results[index].samples.append(
            try results[index].samples.last.map { try worker.run($0.pictures) }
              ?? first(worker, entry))
        } catch let failure as BenchmarkWorker.Failure {
          results[index].failure = failure.description
          workers[index] = nil
        }
        if !keepsProcesses {
          workers[index]?.end()
          workers[index] = nil
        }
      }
    }
    return results
  }

  /// The first run of so many images as take about the time of one: whole ticks of them.
  private func first(_ worker: BenchmarkWorker, _ entry: BenchmarkCase) throws -> BenchmarkSample {
    let together = max(entry.stages / (entry.guidance == "full" ? 2 : 1), 1)
    let sample = try worker.run(together)
    let groups = (secondsPerRun / max(sample.seconds, 1e-6)).rounded()
    guard groups > 1 else { return sample }
    return try worker.run(together * min(Int(groups), 10_000))
  }
}

/// What came of a case.
struct BenchmarkResult: Codable {
  let entry: BenchmarkCase
  var readySeconds: Double?
  var samples: [BenchmarkSample] = []
  var failure: String?

  enum CodingKeys: String, CodingKey {
    case entry = "case"
    case readySeconds = "ready_seconds"
    case samples
    case failure
  }

  init(_ entry: BenchmarkCase) { self.entry = entry }

  /// Images per second of each round.
  var rates: [Double] { samples.map(\.rate) }

  var medianRate: Double? { rates.isEmpty ? nil : Statistics.quantile(rates, 0.5) }

  /// The speedup over another: the ratio of the median rates, which are what the table shows.
  func speedup(over other: BenchmarkResult) -> Double? {
    guard let rate = medianRate, let base = other.medianRate else { return nil }
    return rate / base
  }

  /// Of something an image costs, the median.
  func median(_ cost: (BenchmarkSample) -> Double?) -> Double? {
    let costs = samples.compactMap(cost)
    return costs.isEmpty ? nil : Statistics.quantile(costs, 0.5)
  }
}

enum Statistics {
  /// A quantile, between neighbors in proportion (Hyndman and Fan, 1996, type 7).
  static func quantile(_ values: [Double], _ fraction: Double) -> Double {
    let sorted = values.sorted()
    let place = fraction * Double(sorted.count - 1)
    let (lower, rest) = (Int(place), place - Double(Int(place)))
    guard lower + 1 < sorted.count else { return sorted[sorted.count - 1] }
    return sorted[lower] + rest * (sorted[lower + 1] - sorted[lower])
  }
}
