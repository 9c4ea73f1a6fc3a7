internal import FlowEngine
internal import Foundation

/// The candidate locations of the OpenVINO library.
struct RuntimeLocation {
  /// The release whose C interface the shim declares.
  static let release = "2026.4"

  private static let names: [String] = {
    #if canImport(Darwin)
      ["libopenvino_c.2640.dylib", "libopenvino_c.dylib"]
    #else
      ["libopenvino_c.so.2640", "libopenvino_c.so"]
    #endif
  }()

  /// Installation instructions, for errors.
  static let remedy =
    "install it with `pip install 'openvino==\(release).*'`, set STREAMFLOW_OPENVINO to the folder "
    + "of that package if it is not found, or run `make setup` in a checkout of StreamFlow"

  /// The paths to load, best first; a bare name is searched in the loader's path (Linux).
  ///
  /// If `STREAMFLOW_OPENVINO` is set, only that folder is searched.
  static func candidates(environment: [String: String], executable: String) -> [String] {
    if let folder = environment["STREAMFLOW_OPENVINO"], !folder.isEmpty {
      return existing(in: [folder])
    }
    let folders = RuntimeFolders(
      of: "openvino", environment: environment, executable: executable)
    return existing(in: folders.near) + RuntimeFolders.loaderNames(names)
      + existing(in: folders.installed)
  }

  private static func existing(in folders: [String]) -> [String] {
    folders.flatMap { folder in
      ["", "libs/", "lib/"].flatMap { part in names.map { "\(folder)/\(part)\($0)" } }
    }
    .filter { FileManager.default.fileExists(atPath: $0) }
  }
}
