internal import FlowEngine
internal import FlowModels
internal import StreamFlow

/// One device or several, as `--device` takes them.
struct DeviceList: Hashable, CustomStringConvertible {
  let names: [DeviceName]

  /// - Throws: an `EngineError` for what names no device, or one twice.
  init(parsing text: String) throws { names = try DeviceName.list(parsing: text) }

  init(_ names: [DeviceName]) { self.names = names }

  var description: String { names.map(\.description).joined(separator: ",") }
}

/// Where parts of a model are, as `--place` takes it: `text=CPU,network=cuda:0,decoder=CPU`.
struct PlacementList: Hashable {
  /// The network's device, if one is named.
  private(set) var network: DeviceName?
  /// The devices of other parts.
  private(set) var parts: [DevicePlacement.Part: DeviceName] = [:]

  /// - Throws: an `EngineError` for what names no part, no device, or a part twice.
  init(parsing text: String) throws {
    for entry in text.split(separator: ",", omittingEmptySubsequences: false) {
      let words = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let part = DevicePlacement.Part(rawValue: String(words[0]))
      guard words.count == 2, part != nil || words[0] == "network" else {
        throw EngineError(
          code: .deviceUnavailable,
          message: "'\(entry)' places nothing; expected text=DEVICE, network=DEVICE or "
            + "decoder=DEVICE, separated by commas")
      }
      let device = try DeviceName(parsing: String(words[1]))
      let before = part.map { parts[$0] } ?? network
      guard before == nil else {
        throw EngineError(
          code: .deviceUnavailable, message: "'\(text)' places \(words[0]) twice; each part once")
      }
      if let part { parts[part] = device } else { network = device }
    }
  }
}

/// What a device made in a run.
struct DeviceReport: Encodable {
  let name: String
  let images: Int
  let ticks: Int
  /// The seconds of a row of a tick; nil where there was none.
  let rowSeconds: Double?
  /// The precision of its engines.
  let precision: String
  /// The reason for the precision.
  let precisionReason: String

  /// One for each device of a pool.
  ///
  /// - Parameters:
  ///   - pool: the pool.
  ///   - findings: the floating-point precision of each device.
  static func all(
    of pool: GeneratorPool, _ findings: [PrecisionFinding]
  ) async -> [DeviceReport] {
    let statistics = await pool.deviceStatistics
    return zip(zip(pool.devices, findings), statistics).map { device, statistics in
      let (device, finding) = device
      let precision = PrecisionReport(finding, of: pool.checkpoint)
      return DeviceReport(
        name: "\(device)", images: statistics.imageCount, ticks: statistics.tickCount,
        rowSeconds: statistics.rowCount > 0
          ? statistics.tickTime.seconds / Double(statistics.rowCount) : nil,
        precision: precision.precision, precisionReason: precision.reason)
    }
  }
}
