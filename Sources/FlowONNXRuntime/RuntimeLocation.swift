internal import Foundation

/// Where the ONNX Runtime library may be.
struct RuntimeLocation {
  /// The oldest release that has all that is called.
  static let release = "1.23"

  /// How to get the runtime, for errors.
  static let remedy =
    "install it with `pip install onnxruntime`, set STREAMFLOW_ONNXRUNTIME to the folder of that "
    + "package if it is not found, or run `Scripts/setup.sh --onnxruntime` in a checkout of "
    + "StreamFlow"

  /// What to hand to the loader, best first; a bare name is looked up in the loader's own path.
  ///
  /// A folder that `STREAMFLOW_ONNXRUNTIME` names is the only place looked at.
  static func candidates(environment: [String: String], executable: String) -> [String] {
    if let folder = environment["STREAMFLOW_ONNXRUNTIME"], !folder.isEmpty {
      return existing(in: [folder])
    }
    var folders: [String] = []
    // An installed command is a link to where it lies with its resources and the runtime.
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

  /// Whether a file is the library by its name: `libonnxruntime.so.1.32.0`, but none of its
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
        // The wheel's file carries its release; of several the newest is best.
        return names.filter(isLibrary)
          .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
          .map { "\(folder)\(part)/\($0)" }
      }
    }
  }
}
