internal import FlowCore
public import FlowEngine
public import FlowModels

/// What there is to know of a pool: what its generators have in common, and what they measured.
extension GeneratorPool {
  /// The model.
  public nonisolated var checkpoint: Checkpoint { first.checkpoint }
  /// The width of images in pixels.
  public nonisolated var width: Int { first.width }
  /// The height of images in pixels.
  public nonisolated var height: Int { first.height }
  /// The most rows of a tick of each device.
  public nonisolated var rowCapacity: Int { first.rowCapacity }
  /// The most rows of all devices' ticks together.
  public nonisolated var totalRowCapacity: Int { generators.reduce(0) { $0 + $1.rowCapacity } }
  /// The devices, in their order.
  public nonisolated var devices: [DeviceName] { generators.map { $0.engines.device } }

  /// The end of a prompt that there is no room for, if any.
  public nonisolated func cut(of prompt: String, syntax: PromptSyntax = .weighted) -> String? {
    first.cut(of: prompt, syntax: syntax)
  }

  /// The settings of an image as the ecosystem's tools read them.
  public nonisolated func parameters(of request: GenerationRequest) -> String {
    first.parameters(of: request)
  }

  /// The settings of a finished image; where it moved from one device to another, they say so.
  public nonisolated func parameters(of image: GeneratedImage) -> String {
    GenerationSettings.text(first.parameters(of: image), madeOn: image.devices)
  }

  /// The evaluations of one image of a request; see ``Generator/evaluationCount(of:)``.
  ///
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan.
  public nonisolated func evaluationCount(
    of request: GenerationRequest
  ) throws(ModelError) -> Int { try first.evaluationCount(of: request) }

  /// The evaluations that have finished so far, on all devices.
  public var finishedEvaluationCount: Int {
    get async {
      var count = 0
      for generator in generators { count += await generator.finishedEvaluationCount }
      return count
    }
  }

  /// Whether engines were compiled that are too large to be persisted at once.
  public var hasUnpersisted: Bool {
    get async {
      for generator in generators where await generator.engines.hasUnpersisted { return true }
      return false
    }
  }

  /// What was measured so far, on all devices together.
  public var statistics: GeneratorStatistics {
    get async {
      var sum = GeneratorStatistics()
      for generator in generators { sum.add(await generator.statistics) }
      return sum
    }
  }

  /// What was measured of each device, in their order.
  public var deviceStatistics: [GeneratorStatistics] {
    get async {
      var all: [GeneratorStatistics] = []
      for generator in generators { all.append(await generator.statistics) }
      return all
    }
  }

  /// The devices that failed and are out of use, with their errors.
  public var failedDevices: [(device: DeviceName, error: any Error)] {
    failures.sorted { $0.key < $1.key }.map { (devices[$0.key], $0.value) }
  }

  /// What is in flight, device by device, oldest first.
  public var inFlight: [GeneratorFlight] {
    get async {
      if generators.count == 1 { return await first.flights }
      var all: [GeneratorFlight] = []
      for (device, generator) in generators.enumerated() {
        for flight in await generator.flights {
          let ticket = flights.first {
            $0.value.device == device && $0.value.stream == flight.stream
          }
          guard let ticket = ticket?.key else { continue }
          all.append(
            GeneratorFlight(
              stream: ticket.order, index: ticket.index, stage: flight.stage,
              stageCount: flight.stageCount, advances: flight.advances))
        }
      }
      return all
    }
  }
}

extension GeneratorStatistics {
  fileprivate mutating func add(_ other: GeneratorStatistics) {
    preparation += other.preparation
    engines += other.engines
    tickCount += other.tickCount
    rowCount += other.rowCount
    imageCount += other.imageCount
    evaluationCount += other.evaluationCount
    tickTime += other.tickTime
    engineTime += other.engineTime
    admissionTime += other.admissionTime
    decodeTime += other.decodeTime
  }
}

extension GenerationSettings {
  private static let deviceField = ", Device: "

  /// An image's settings with the devices that it moved between; unchanged for none.
  static func text(_ text: String, madeOn devices: [DeviceName]) -> String {
    guard !devices.isEmpty else { return text }
    let path = devices.map(\.description).joined(separator: " > ")
    return "\(text)\(deviceField)\(path.contains(",") ? "\"\(path)\"" : path)"
  }

  /// An image's settings without the devices that it moved between, which do not tell what it shows.
  public static func withoutDevices(_ text: String) -> String {
    guard let line = text.lastIndex(of: "\n"),
      let field = text[line...].ranges(of: deviceField).last
    else { return text }
    return String(text[..<field.lowerBound])
  }
}
