internal import FlowCore
internal import FlowGraph
internal import FlowModels
internal import Foundation

/// The measurements of an unfinished quantization, so that a later run can continue.
struct QuantizationState: Codable {
  /// The network, image by image.
  struct Observations: Codable {
    var imageCount = 0
    var evaluationCount = 0
    var ranges: [Range] = []
    /// The finished latents of each image, which calibrate the autoencoder.
    var latents: [CalibrationInput] = []
    var probes: [Probe] = []
  }

  /// A ``TensorRange``.
  struct Range: Codable {
    var minimum: Float?
    var maximum: Float?
    var isFinite: Bool
    var elements: CalibrationInput
  }

  /// A ``Trial/Probe``.
  struct Probe: Codable {
    var inputs: [CalibrationInput]
    var output: CalibrationInput
  }

  /// A part of the model that is finished.
  struct Part: Codable {
    var scales: QuantizationFile.Part
    var report: QuantizationReport.Part
  }

  /// The version of this format.
  static let version = 1

  var version = Self.version
  /// Identifies the model and the options; a state of others is discarded.
  let key: String
  var observations = Observations()
  var network: Part?
  var decoder: Part?
  /// The decoded images, which calibrate the encoder.
  var images: [CalibrationInput] = []
  var encoder: Part?

  init(key: String) { self.key = key }
}

extension QuantizationState.Range {
  init(_ range: TensorRange) {
    minimum = range.bounds?.lowerBound
    maximum = range.bounds?.upperBound
    isFinite = range.isFinite
    elements = .floats(range.elements)
  }

  var range: TensorRange {
    var bounds: ClosedRange<Float>?
    if let minimum, let maximum, minimum <= maximum { bounds = minimum...maximum }
    guard case .floats(let elements) = elements else { return TensorRange() }
    return TensorRange(bounds: bounds, elements: elements, isFinite: isFinite)
  }
}

extension QuantizationState.Probe {
  init(_ probe: Trial.Probe) {
    inputs = probe.inputs
    output = .floats(probe.output)
  }
}

extension Trial.Probe {
  init(_ probe: QuantizationState.Probe) {
    inputs = probe.inputs
    if case .floats(let elements) = probe.output { output = elements } else { output = [] }
  }
}

/// Where an unfinished quantization is saved, and when.
final class QuantizationJournal {
  private let path: String?
  private var lastSave = ContinuousClock.now
  var state: QuantizationState

  /// The minimum time between two saves of an undisturbed run: a state of a full-size network has
  /// tens of megabytes.
  private static let interval = Duration.seconds(20)

  /// Reads the state of an earlier run of the same quantization, if there is one.
  ///
  /// - Parameters:
  ///   - path: the file; nothing is saved if nil.
  ///   - key: identifies the quantization.
  init(path: String?, key: String) {
    self.path = path
    state = QuantizationState(key: key)
    guard let path, let data = try? Data(contentsOf: URL(filePath: path)),
      let saved = try? PropertyListDecoder().decode(QuantizationState.self, from: data),
      saved.version == QuantizationState.version, saved.key == key
    else { return }
    state = saved
  }

  /// Saves the state, at most every twenty seconds.
  func saveNowAndThen() throws {
    guard .now - lastSave >= Self.interval else { return }
    try save()
  }

  /// Saves the state atomically.
  func save() throws {
    guard let path else { return }
    let encoder = PropertyListEncoder()
    encoder.outputFormat = .binary
    try encoder.encode(state).write(to: URL(filePath: path), options: .atomic)
    lastSave = .now
  }

  /// Removes the file of a finished quantization.
  func remove() {
    guard let path else { return }
    try? FileManager.default.removeItem(atPath: path)
  }
}
