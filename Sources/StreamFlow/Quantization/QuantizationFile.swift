internal import FlowGraph
public import FlowModels
internal import Foundation

/// The 8-bit scales of a model on disk: `streamflow-int8.json` in its folder, or
/// `NAME.streamflow-int8.json` beside a model in one file.
///
/// It does not contain the weights. Each part is keyed by a fingerprint of the weights that it was
/// measured for.
struct QuantizationFile: Codable, Equatable {
  /// One part of a model: its network, its autoencoder.
  struct Part: Codable, Equatable {
    /// The fingerprint of the weights.
    var fingerprint: String
    var layers: [String: Layer]
  }

  /// One layer.
  struct Layer: Codable, Equatable {
    var scale: Float
    var zeroPoint: UInt8
    var weightScales: [Float]

    enum CodingKeys: String, CodingKey {
      case scale
      case zeroPoint = "zero_point"
      case weightScales = "weight_scales"
    }
  }

  /// The version of the file format.
  static let version = 1
  static let name = "streamflow-int8.json"

  var version = Self.version
  /// How it was measured, for people.
  var calibration: [String: String] = [:]
  var parts: [String: Part]

  /// Reads a file.
  init(path: String) throws(ModelError) {
    func invalid(_ problem: String, _ cause: (any Error)? = nil) -> ModelError {
      ModelError(
        code: .fileInvalid,
        message: "'\(path)' \(problem); quantize the model again", settings: [.quantization],
        cause: cause)
    }
    let file: Self
    do {
      file = try JSONDecoder().decode(Self.self, from: Data(contentsOf: URL(filePath: path)))
    } catch { throw invalid("does not hold 8-bit scales", error) }
    guard file.version == Self.version else {
      throw invalid("is of version \(file.version), expected \(Self.version)")
    }
    for (part, layers) in file.parts {
      for (name, layer) in layers.layers {
        guard ([layer.scale] + layer.weightScales).allSatisfy({ $0 > 0 && $0.isFinite }) else {
          throw invalid("has a scale of \(part)'s \(name) that is not positive")
        }
      }
    }
    self = file
  }

  /// Creates the content of a file.
  init(calibration: [String: String], parts: [String: Part]) {
    self.calibration = calibration
    self.parts = parts
  }

  /// The file's bytes.
  func serialized() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(self)) + Array("\n".utf8)
  }
}

extension QuantizationFile.Part {
  init(_ quantization: Quantization, fingerprint: String) {
    self.fingerprint = fingerprint
    layers = quantization.layers.mapValues { layer in
      QuantizationFile.Layer(
        scale: layer.input.scale, zeroPoint: layer.input.zeroPoint,
        weightScales: layer.weightScales)
    }
  }

  var quantization: Quantization {
    Quantization(
      layers: layers.mapValues { layer in
        Quantization.Layer(
          input: AffineRange(scale: layer.scale, zeroPoint: layer.zeroPoint),
          weightScales: layer.weightScales)
      })
  }
}

extension Checkpoint {
  /// The path of this model's 8-bit scales.
  public var quantizationPath: String { notes.path(of: QuantizationFile.name) }

  /// The same model, computing in int8 where its scales say so.
  ///
  /// Adapters may be applied before or after: the scales of the weights that they change follow the
  /// changed weights, and inputs are rounded as measured without adapters.
  ///
  /// - Parameter place: the file of the scales or its folder; ``quantizationPath`` if nil.
  /// - Throws: `fileMissing` if there is none, `fileInvalid` if it belongs to other weights,
  ///   `unsupported` for a model with delta weights.
  public func quantized(from place: String? = nil) throws(ModelError) -> Checkpoint {
    var path = place ?? quantizationPath
    var isFolder: ObjCBool = false
    let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    if exists, isFolder.boolValue { path += "/\(QuantizationFile.name)" }
    guard ConfigurationFile.exists(path) else {
      throw ModelError(
        code: .fileMissing,
        message: "int8 needs the scales of \(name), and there are none at '\(path)'; quantize "
          + "the model, or choose another precision", settings: [.quantization])
    }
    guard deltaNames.isEmpty else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' holds the int8 scales of \(name) alone, and "
          + "\(deltaNames.joined(separator: ", ")) makes it another model; choose another "
          + "precision, or remove the delta weights")
    }
    let file = try QuantizationFile(path: path)
    var result = self
    for component in components {
      let isNeeded = component.role == .network
      guard let kept = file.parts[component.name] else {
        guard isNeeded else { continue }
        throw ModelError(
          code: .fileInvalid,
          message: "'\(path)' has no scales of \(component.name); quantize the model again",
          settings: [.quantization])
      }
      result.setWeights(
        try quantized(component, as: kept, at: path), of: component.role)
    }
    return result
  }

  private func quantized(
    _ component: Component, as kept: QuantizationFile.Part, at path: String
  ) throws(ModelError) -> WeightStore {
    let weights = component.weights
    guard kept.fingerprint == weights.fingerprint else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(path)' holds the scales of another \(component.name) than \(name)'s "
          + "(\(kept.fingerprint), not \(weights.fingerprint)); quantize the same model, "
          + "autoencoder and variant", settings: [.quantization, .model, .autoencoder, .variant])
    }
    return weights.quantized(by: kept.quantization)
  }
}
