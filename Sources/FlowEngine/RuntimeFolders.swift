internal import Foundation

/// The folders in which a runtime's library may be, best first.
package struct RuntimeFolders {
  /// Beside the program, and in `.deps` of the folders that contain it.
  package let near: [String]
  /// Of Python packages, and of Homebrew.
  package let installed: [String]

  /// Lists the folders, whether or not they exist.
  ///
  /// - Parameters:
  ///   - name: the runtime's folder and its Python package.
  ///   - environment: `VIRTUAL_ENV`, `CONDA_PREFIX` and `HOME` are read.
  ///   - executable: the path of the program.
  package init(of name: String, environment: [String: String], executable: String) {
    // An installed command is a link into a folder that also contains its resources and the
    // runtime.
    let program = URL(filePath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
    var near = [program.appending(path: name).path]
    for place in [program] + Self.testBundles {
      var place = place
      while place.path != "/" {
        near.append(place.appending(path: ".deps/\(name)").path)
        place.deleteLastPathComponent()
      }
    }
    self.near = near
    let roots = [
      environment["VIRTUAL_ENV"], environment["CONDA_PREFIX"],
      environment["HOME"].map { "\($0)/.local" }, "/usr/local",
    ]
    let packages = roots.compactMap { $0 }.flatMap { root in
      // Debian's pip installs to dist-packages.
      (9...14).flatMap { version in
        ["site-packages", "dist-packages"].map { "\(root)/lib/python3.\(version)/\($0)/\(name)" }
      }
    }
    installed = packages + ["/opt/homebrew/opt/\(name)", "/usr/local/opt/\(name)"]
  }

  /// The bundles of tests, which a program of Xcode's loads.
  private static var testBundles: [URL] {
    #if canImport(Darwin)
      Bundle.allBundles.filter { $0.bundlePath.hasSuffix(".xctest") }.map(\.bundleURL)
    #else
      []
    #endif
  }

  /// The names under which the loader itself finds a library in the system's folders.
  ///
  /// None on Apple systems, where the loader also looks in the working directory, which others may write to.
  package static func loaderNames(_ names: [String]) -> [String] {
    #if canImport(Darwin)
      []
    #else
      names
    #endif
  }
}
