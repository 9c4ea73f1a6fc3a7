import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// A long run with changes at random: `STREAMFLOW_SOAK_MINUTES=20 swift test --filter Soak`.
///
/// Without the variable it is a few seconds long. `STREAMFLOW_SOAK_SPARE=0` releases the engines of
/// a size as soon as it is changed away from (``LiveOptions/spareByteCount``).
@Suite(.tags(.engine)) struct LiveStreamSoakTests {
  private static let minutes =
    ProcessInfo.processInfo.environment["STREAMFLOW_SOAK_MINUTES"].flatMap { Double($0) } ?? 0.08

  @Test("With any changes, every input is delivered in order, and memory does not grow")
  func soak() async throws {
    let settings = LiveStreamTests.settings {
      $0.filter = FrameGate.Settings(threshold: 0.9999, maximumSkips: 3)
    }
    let spare = try ProcessInfo.processInfo.environment["STREAMFLOW_SOAK_SPARE"]
      .map { try #require(Int($0), "STREAMFLOW_SOAK_SPARE is a number of bytes") }
    let stream = try LiveStreamTests.stream(settings, rows: 4, spareByteCount: spare)
    try await stream.prepare()
    let end = ContinuousClock.now + .milliseconds(Int(Self.minutes * 60_000))
    let feeding = Task {
      var random = SplitMix(state: 7)
      var (count, changes) = (0, 0)
      while ContinuousClock.now < end {
        if random.next() % 12 == 0 {
          try await stream.update(Self.change(&random))
          changes += 1
        }
        let index = random.next() % 5 == 0 ? count / 2 : count
        let input = LiveStreamTests.input(Int(index), width: 64 + Int(random.next() % 3) * 16)
        guard await stream.submit(input, timestamp: .milliseconds(count)) != nil else { break }
        count += 1
      }
      await stream.finish()
      return (count, changes)
    }
    var latencies: [Double] = []
    var memory: [(time: ContinuousClock.Instant, bytes: Int)] = []
    var expected = 0
    for try await frame in stream.frames {
      #expect(frame.index == expected && frame.timestamp == .milliseconds(expected))
      expected += 1
      #expect(frame.image != nil)
      if case .made = frame.outcome { latencies.append(frame.times.latency / .seconds(1)) }
      if expected % 50 == 0 { memory.append((.now, Self.residentByteCount())) }
    }
    let (count, changes) = try await feeding.value
    #expect(expected == count)
    let statistics = await stream.statistics
    #expect(statistics.madeCount + statistics.skippedCount == count)
    #expect(statistics.failedCount == 0 && statistics.droppedCount == 0)
    latencies.sort()
    func percentile(_ part: Double) -> String {
      String(format: "%.0f", latencies[Int(Double(latencies.count - 1) * part)] * 1000)
    }
    print(
      "soak: \(count) inputs, \(changes) changes, \(statistics.skippedCount) skipped; latency ms "
        + "p50 \(percentile(0.5)) p95 \(percentile(0.95)) p99 \(percentile(0.99))")
    let gaps = statistics.tickGaps.map { $0 / .milliseconds(1) }.sorted()
    func gap(_ part: Double) -> String {
      String(format: "%.0f", gaps[Int(Double(gaps.count - 1) * part)])
    }
    print(
      "soak: gaps between ticks ms, p50 \(gap(0.5)) p95 \(gap(0.95)) p99 \(gap(0.99)), "
        + "longest \(gap(1))")
    // Every size has had its engines by a third of the way.
    guard Self.minutes >= 5 else { return }
    let start = end - .milliseconds(Int(Self.minutes * 40_000))
    let late = memory.filter { $0.time > start }.map(\.bytes)
    let (first, last) = (late.prefix(late.count / 4), late.suffix(late.count / 4))
    let means = [first, last].map { $0.reduce(0, +) / max($0.count, 1) }
    print("soak: memory MB \(means[0] >> 20) after a third, \(means[1] >> 20) at the end")
    #expect(Double(abs(means[1] - means[0])) < 0.05 * Double(means[0]))
  }

  private static func change(
    _ random: inout SplitMix
  ) -> @Sendable (inout LiveSettings) -> Void {
    let (kind, value) = (random.next() % 8, Int(random.next() % 1000))
    let prompts = ["a fox on red", "rocket", "an octopus on a yellow background", "sushi"]
    let sizes = [64, 48, 80]
    return { settings in
      switch kind {
      case 0: settings.request.prompt = prompts[value % prompts.count]
      case 1: settings.request.stepCount = 1 + value % 5
      case 2: settings.strength = Double(1 + value % 100) / 100
      case 3: settings.width = sizes[value % sizes.count]
      case 4: settings.height = sizes[value % sizes.count]
      case 5: settings.request.seed = UInt64(value)
      case 6:
        settings.request.guidance =
          value % 2 == 0 ? .full(scale: 2) : .onetimeNegative(scale: 1.5)
      default:
        settings.request.blend = PromptBlend([
          .init(prompt: "grinning face", weight: Float(value) / 1000)
        ])
      }
    }
  }

  private static func residentByteCount() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Numbers that are the same in every run (Steele, Lea and Flood, 2014).
  private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var word = state
      word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
      word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
      return word ^ (word >> 31)
    }
  }
}
