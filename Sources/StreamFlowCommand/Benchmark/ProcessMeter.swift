internal import Foundation

/// The resources that this process has used so far.
struct ProcessMeter {
  private let start = ContinuousClock.now
  private let cpu = Self.cpuSeconds
  private let energy = Self.microjoules

  /// The resources used since, divided by the number of images.
  func sample(pictures: Int) -> BenchmarkSample {
    let seconds = (ContinuousClock.now - start).seconds
    var joules: Double?
    if let energy, let now = Self.microjoules, now >= energy { joules = (now - energy) / 1e6 }
    return BenchmarkSample(
      pictures: pictures, seconds: seconds, cpuSeconds: Self.cpuSeconds - cpu, joules: joules,
      peakBytes: Self.peakBytes)
  }

  private static var usage: rusage {
    var usage = rusage()
    #if canImport(Glibc)
      _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    #else
      _ = unsafe getrusage(RUSAGE_SELF, &usage)
    #endif
    return usage
  }

  private static var cpuSeconds: Double {
    let usage = usage
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
  }

  private static var peakBytes: Int {
    #if canImport(Darwin)
      return usage.ru_maxrss
    #else
      return usage.ru_maxrss * 1024
    #endif
  }

  /// Running average power limit counters of all packages (Linux, if they are readable).
  private static var microjoules: Double? {
    let folder = "/sys/class/powercap"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let packages = names.filter { $0.wholeMatch(of: /intel-rapl:\d+/) != nil }
    let counts = packages.compactMap { name in
      (try? String(contentsOfFile: "\(folder)/\(name)/energy_uj", encoding: .utf8))
        .flatMap { Double($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    return counts.isEmpty || counts.count < packages.count ? nil : counts.reduce(0, +)
  }
}
