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

  /// The paths to load, best first; a bare name is searched in the loader's path.
  ///
  /// If `STREAMFLOW_OPENVINO` is set, only that folder is searched.
  static func candidates(environment: [String: String], executable: String) -> [String] {
    if let folder = environment["STREAMFLOW_OPENVINO"], !folder.isEmpty {
      return existing(in: [folder])
    }
    var folders: [String] = []
    // An installed command is a link into a folder that also contains its resources and the
    // runtime.
    var place = URL(filePath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
    folders.append(place.appending(path: "openvino").path)
    while place.path != "/" {
      folders.append(place.appending(path: ".deps/openvino").path)
      place.deleteLastPathComponent()
    }
    let roots = [
      environment["VIRTUAL_ENV"], environment["CONDA_PREFIX"],
      environment["HOME"].map { "\($0)/.local" }, "/usr/local",
    ]
    let sitePackages = roots.compactMap { $0 }.flatMap { root in
      // Debian's pip installs to dist-packages.
      (9...14).flatMap { version in
        ["site-packages", "dist-packages"].map { "\(root)/lib/python3.\(version)/\($0)/openvino" }
      }
    }
    let system = ["/opt/homebrew/opt/openvino", "/usr/local/opt/openvino"]
    return existing(in: folders) + names + existing(in: sitePackages + system)
  }

  private static func existing(in folders: [String]) -> [String] {
    folders.flatMap { folder in
      ["", "libs/", "lib/"].flatMap { part in names.map { "\(folder)/\(part)\($0)" } }
    }
    .filter { FileManager.default.fileExists(atPath: $0) }
  }
}
