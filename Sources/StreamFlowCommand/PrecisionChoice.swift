internal import ArgumentParser
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// What `--precision` takes.
enum PrecisionChoice: Hashable, CaseIterable, ExpressibleByArgument {
  /// The fastest floating-point precision of each device.
  case automatic
  /// The fastest of all: int8 if the model has scales, and the fastest floating point for the rest.
  case fast
  /// Floating point.
  case float(EngineOptions.Precision)
  /// 8-bit integers where the model has scales, and floating point for the rest.
  case int8(rest: EngineOptions.Precision)

  static let allCases: [PrecisionChoice] =
    [.automatic, .fast] + EngineOptions.Precision.allCases.map(Self.float)
    + [.int8(rest: .float32), .int8(rest: .bfloat16), .int8(rest: .float16)]

  /// The spellings for the help, which would otherwise show the names of Swift's cases.
  static var allValueStrings: [String] { allCases.map(\.defaultValueDescription) }

  init?(argument: String) {
    guard let choice = Self.allCases.first(where: { $0.defaultValueDescription == argument })
    else { return nil }
    self = choice
  }

  var defaultValueDescription: String {
    switch self {
    case .automatic: "auto"
    case .fast: "fast"
    case .float(let precision): precision.rawValue
    case .int8(rest: .float32): "int8"
    case .int8(let rest): "int8+\(rest.rawValue)"
    }
  }

  /// Whether it names int8.
  var isInt8: Bool { if case .int8 = self { true } else { false } }

  /// The floating-point precision on a device, and the reason.
  ///
  /// - Throws: an `EngineError` if the device is not available.
  func finding(for device: DeviceName) throws(EngineError) -> PrecisionFinding {
    switch self {
    case .automatic, .fast: try device.fastestPrecision(among: EngineStore.backends)
    case .float(let precision), .int8(let precision):
      PrecisionFinding(precision, reason: "chosen")
    }
  }

  /// A model in this precision.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - scales: the file or folder of its 8-bit scales; beside the model if nil.
  /// - Throws: a `ModelError` if int8 is named, or scales are, and they are not usable.
  func applied(to checkpoint: Checkpoint, scales: String?) throws -> Checkpoint {
    switch self {
    case .automatic, .float: checkpoint
    case .int8: try checkpoint.quantized(from: scales)
    // Other scales than the model's own are as good as none, unless the user named them.
    case .fast where scales == nil: (try? checkpoint.quantized()) ?? checkpoint
    case .fast: try checkpoint.quantized(from: scales)
    }
  }

  /// The choice in `$STREAMFLOW_PRECISION`; automatic if unset or empty.
  ///
  /// - Throws: `ValidationError` if the value is no precision.
  static func named(
    in environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> PrecisionChoice {
    guard let text = environment["STREAMFLOW_PRECISION"], !text.isEmpty else { return .automatic }
    guard let choice = PrecisionChoice(argument: text) else {
      throw ValidationError(
        "STREAMFLOW_PRECISION must be one of \(allValueStrings.joined(separator: ", ")), got "
          + "'\(text)'")
    }
    return choice
  }
}

/// The precision of a device in reports.
struct PrecisionReport: Encodable {
  /// `f32`, `bf16`, `f16`, or with int8 layers `int8`, `int8+bf16`, `int8+f16`.
  let precision: String
  /// The reason.
  let reason: String

  init(_ finding: PrecisionFinding, of checkpoint: Checkpoint?) {
    let isQuantized = checkpoint?.networkWeights.quantization != nil
    precision =
      isQuantized
      ? PrecisionChoice.int8(rest: finding.precision).defaultValueDescription
      : finding.precision.rawValue
    reason = finding.reason
  }
}
