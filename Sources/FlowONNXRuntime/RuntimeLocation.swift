internal import FlowEngine
internal import Foundation

/// The candidate locations of the ONNX Runtime library.
struct RuntimeLocation {
  /// The oldest release that has all required functions.
  static let release = "1.23"

  /// Installation instructions, for errors.
  static let remedy =
    "install it with `pip install onnxruntime`, set STREAMFLOW_ONNXRUNTIME to the folder of that "
    + "package if it is not found, or run `Scripts/setup.sh --onnxruntime` in a checkout of "
    + "StreamFlow"

  /// The paths to load, best first; a bare name is searched in the loader's path (Linux).
  ///
  /// If `STREAMFLOW_ONNXRUNTIME` is set, only that folder is searched.
  static func candidates(environment: [String: String], executable: String) -> [String] {
    if let folder = environment["STREAMFLOW_ONNXRUNTIME"], !folder.isEmpty {
      return existing(in: [folder])
    }
    let folders = RuntimeFolders(
      of: "onnxruntime", environment: environment, executable: executable)
    return existing(in: folders.near)
      + RuntimeFolders.loaderNames(["libonnxruntime.so.1", "libonnxruntime.so"])
      + existing(in: folders.installed)
  }

  /// Whether a file name is that of the library: `libonnxruntime.so.1.32.0`, but not of its
  /// providers.
  static func isLibrary(_ name: String) -> Bool {
    guard name.hasPrefix("libonnxruntime"), !name.hasPrefix("libonnxruntime_providers") else {
      return false
    }
    #if canImport(Darwin)
      return name.hasSuffix(".dylib")
    #else
      return name.hasSuffix(".so") || name.contains(".so.")
    #endif
  }

  private static func existing(in folders: [String]) -> [String] {
    folders.flatMap { folder in
      ["", "/capi", "/lib"].flatMap { part in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + part)) ?? []
        // The wheel's file name contains its release; the newest one is best.
        return names.filter(isLibrary)
          .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
          .map { "\(folder)\(part)/\($0)" }
      }
    }
  }
}
