internal import FlowCore
internal import FlowGraph
public import Foundation

/// A file of golden tensors.
public struct Golden {
  private let file: Safetensors

  /// Opens a fixture of a test bundle.
  public init(_ name: String, in bundle: Bundle) throws {
    file = try Safetensors(path: bundle.fixture(name))
  }

  /// Opens a file.
  public init(_ path: String) throws { file = try Safetensors(path: path) }

  /// The free-form texts of the file.
  public var metadata: [String: String] { file.metadata }

  /// A tensor's elements.
  public func floats(_ name: String) throws -> [Float] { try weight(name).floats() }

  /// A tensor's extents.
  public func shape(_ name: String) throws -> [Int] { try weight(name).shape.dimensions }

  /// The names of the tensors.
  public var names: [String] { file.tensors.keys.sorted() }

  private func weight(_ name: String) throws -> Weight {
    guard let weight = file.tensors[name] else {
      throw GraphError(code: .weightMissing, message: "no golden tensor '\(name)'")
    }
    return weight
  }
}

extension Bundle {
  /// The path of a fixture.
  public func fixture(_ name: String) -> String {
    bundleURL.appending(path: "Fixtures/\(name)").path
  }
}

/// A folder that is gone with this object.
public final class TemporaryFolder: Sendable {
  /// The folder.
  public let path: String

  /// Makes an empty folder.
  public init() throws {
    path =
      FileManager.default.temporaryDirectory
      .appending(path: "streamflow-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and gives its path.
  public func write(_ bytes: [UInt8], as name: String) throws -> String {
    let file = "\(path)/\(name)"
    try FileManager.default.createDirectory(
      atPath: URL(filePath: file).deletingLastPathComponent().path,
      withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: file))
    return file
  }
}
