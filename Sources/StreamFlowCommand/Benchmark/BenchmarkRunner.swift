internal import Foundation

/// Times cases interleaved, A B C A B C, so that other load on the machine affects all alike.
struct BenchmarkRunner {
  /// The number of times that each case is timed.
  let rounds: Int
  /// The approximate seconds per case and round.
  let secondsPerRun: Double
  /// Whether processes live on between rounds; processes of a large model do not fit beside each
  /// other.
  let keepsProcesses: Bool
  let command: (BenchmarkCase) -> [String]
  let progress: (String) -> Void

  /// Times all cases; failures are reported, and the others continue.
  ///
  /// If it is cancelled, the results are those of the rounds until then.
  ///
  /// - Throws: `CancellationError` if it is cancelled before the first result.
  func callAsFunction(_ cases: [BenchmarkCase]) throws -> [BenchmarkResult] {
    var results = cases.map(BenchmarkResult.init)
    var workers: [Int: BenchmarkWorker] = [:]
    defer { for worker in workers.values { worker.end() } }
    for round in 0..<rounds {
      for (index, entry) in cases.enumerated() where results[index].failure == nil {
        guard !Task.isCancelled else { return try Self.measured(results) }
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
        } catch  where Task.isCancelled {
          // Its processes are ended.
          return try Self.measured(results)
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

  private static func measured(_ results: [BenchmarkResult]) throws -> [BenchmarkResult] {
    guard results.contains(where: { !$0.samples.isEmpty }) else { throw CancellationError() }
    return results
  }

  /// The first run with a number of images that takes about the given time, in whole ticks.
  private func first(_ worker: BenchmarkWorker, _ entry: BenchmarkCase) throws -> BenchmarkSample {
    let together = max(entry.stages / (entry.guidance == "full" ? 2 : 1), 1)
    let sample = try worker.run(together)
    let groups = (secondsPerRun / max(sample.seconds, 1e-6)).rounded()
    guard groups > 1 else { return sample }
    return try worker.run(together * min(Int(groups), 10_000))
  }
}

/// The result of a case.
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

  /// The speedup over another result: the ratio of the median rates, which the table shows.
  func speedup(over other: BenchmarkResult) -> Double? {
    guard let rate = medianRate, let base = other.medianRate else { return nil }
    return rate / base
  }

  /// The median of a cost per image.
  func median(_ cost: (BenchmarkSample) -> Double?) -> Double? {
    let costs = samples.compactMap(cost)
    return costs.isEmpty ? nil : Statistics.quantile(costs, 0.5)
  }
}

enum Statistics {
  /// A quantile with linear interpolation between neighbors (Hyndman and Fan, 1996, type 7).
  static func quantile(_ values: [Double], _ fraction: Double) -> Double {
    let sorted = values.sorted()
    let place = fraction * Double(sorted.count - 1)
    let (lower, rest) = (Int(place), place - Double(Int(place)))
    guard lower + 1 < sorted.count else { return sorted[sorted.count - 1] }
    return sorted[lower] + rest * (sorted[lower + 1] - sorted[lower])
  }
}
