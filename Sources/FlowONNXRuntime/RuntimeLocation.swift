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

  /// The paths to load, best first; a bare name is searched in the loader's path.
  ///
  /// If `STREAMFLOW_ONNXRUNTIME` is set, only that folder is searched.
  static func candidates(environment: [String: String], executable: String) -> [String] {
    if let folder = environment["STREAMFLOW_ONNXRUNTIME"], !folder.isEmpty {
      return existing(in: [folder])
    }
    var folders: [String] = []
    // An installed command is a link into a folder that also contains its resources and the
    // runtime.
    var place = URL(filePath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
    folders.append(place.appending(path: "onnxruntime").path)
    while place.path != "/" {
      folders.append(place.appending(path: ".deps/onnxruntime").path)
      place.deleteLastPathComponent()
    }
    let roots = [
      environment["VIRTUAL_ENV"], environment["CONDA_PREFIX"],
      environment["HOME"].map { "\($0)/.local" }, "/usr/local",
    ]
    let sitePackages = roots.compactMap { $0 }.flatMap { root in
      // Debian's pip installs to dist-packages.
      (9...14).flatMap { version in
        ["site-packages", "dist-packages"].map {
          "\(root)/lib/python3.\(version)/\($0)/onnxruntime"
        }
      }
    }
    let system = ["/opt/homebrew/opt/onnxruntime", "/usr/local/opt/onnxruntime"]
    return existing(in: folders) + bareNames + existing(in: sitePackages + system)
  }

  #if canImport(Darwin)
    private static let bareNames = ["libonnxruntime.dylib"]
  #else
    private static let bareNames = ["libonnxruntime.so.1", "libonnxruntime.so"]
  #endif

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
