internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// The kernels that a model's network and decoder spend their time in, in each precision.
struct ProfileStudy {
  /// The kernels of one part in one precision.
  struct Part: Codable {
    let precision: String
    let width: Int
    let height: Int
    let profile: KernelProfile
  }

  /// The number of groups of kernels that are listed.
  static let listedCount = 10

  let checkpoint: Checkpoint
  /// The file of the 8-bit scales; beside the model if nil.
  let scales: String?
  let precisions: [PrecisionChoice]
  let size: PixelSize
  /// The number of batch rows.
  let rows: Int
  let device: DeviceName
  let threads: Int?
  let progress: (String) -> Void

  /// Measures all precisions and parts; if it is cancelled, what was measured until then.
  ///
  /// - Throws: errors of graphs and engines; `CancellationError` if it is cancelled before the first
  ///   result.
  func callAsFunction() async throws -> [Part] {
    var parts: [Part] = []
    do { try await measure(into: &parts) } catch is CancellationError where !parts.isEmpty {}
    return parts
  }

  private func measure(into parts: inout [Part]) async throws {
    for precision in precisions {
      var options = EngineOptions(
        threadCount: threads, precision: try precision.finding(for: device).precision)
      options.recordsKernelTimes = true
      let engines = EngineStore(device: device, options: options, cache: nil)
      let checkpoint = try precision.applied(to: checkpoint, scales: scales)
      for part in KernelProfile.Part.allCases {
        try Task.checkCancellation()
        let name = precision.defaultValueDescription
        progress("\(part.rawValue), \(name), \(size)")
        parts.append(
          Part(
            precision: name, width: size.width, height: size.height,
            profile: try await .measure(
              part, of: checkpoint, size: size, rows: rows, engines: engines)))
      }
    }
  }
}

extension ProfileStudy.Part {
  /// The kernels with the most time, in Markdown.
  var table: String {
    let total = profile.groups.reduce(0) { $0 + $1.seconds }
    let rows = profile.rows == 1 ? "1 row" : "\(profile.rows) rows"
    var text = "## \(profile.part), \(precision), \(width) x \(height), \(rows)\n\n"
    guard total > 0 else { return text + "The runtime does not measure its kernels.\n\n" }
    text += String(
      format: "%.1f ms a run, %.1f ms in %d kernels.\n\n", 1000 * profile.seconds, 1000 * total,
      profile.groups.reduce(0) { $0 + $1.count })
    let listed = profile.groups.prefix(ProfileStudy.listedCount).map { group in
      let rate = Double(group.operationCount) / group.seconds / 1e9
      return [
        group.operation, group.shapes, group.implementation, "\(group.count)",
        String(format: "%.2f", 1000 * group.seconds),
        String(format: "%.1f %%", 100 * group.seconds / total),
        group.operationCount > 0 ? String(format: "%.0f", rate) : "",
      ]
    }
    return text
      + BenchmarkTable(
        header: ["operator", "shapes", "kernel", "number", "ms", "share", "GFLOP/s"], rows: listed
      ).text
  }
}
