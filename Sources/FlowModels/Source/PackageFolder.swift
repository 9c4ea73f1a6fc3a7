internal import Foundation

/// The resource folders of this package.
///
/// They are located without `Bundle.module`, which traps if they are missing.
enum PackageFolder {
  /// Finds a folder.
  static func path(_ name: String) throws(ModelError) -> String {
    for bundle in places.map({ $0.appending(path: bundleName) }) {
      // Xcode stores contents in a subfolder of the bundle, SwiftPM directly in it.
      for inner in [name, "Contents/Resources/\(name)"] {
        let folder = bundle.appending(path: inner)
        if FileManager.default.fileExists(atPath: folder.path) { return folder.path }
      }
    }
    let looked = places.map { "'\($0.path)'" }.joined(separator: ", ")
    throw ModelError(
      code: .fileMissing,
      message: "'\(name)', a resource of this package, is missing: there is no '\(bundleName)' "
        + "with it beside the program (looked in \(looked)); copy that folder there from the build",
      settings: [.packageFolder])
  }

  private static var bundleName: String {
    #if canImport(Darwin)
      "StreamFlow_FlowModels.bundle"
    #else
      "StreamFlow_FlowModels.resources"
    #endif
  }

  /// The folders that may contain the bundle, without duplicates.
  private static var places: [URL] {
    var places = [
      Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent(),
      Bundle.main.bundleURL.resolvingSymlinksInPath(),
      Bundle.main.resourceURL?.resolvingSymlinksInPath(),
    ].compactMap { $0 }
    #if canImport(Darwin)
      // Tests are a bundle that another program loads.
      let own = Bundle(for: Anchor.self)
      places += [own.bundleURL.deletingLastPathComponent(), own.bundleURL]
      places += [own.resourceURL].compactMap { $0 }
    #endif
    var seen: Set<String> = []
    return places.filter { seen.insert($0.standardizedFileURL.path).inserted }
  }

  #if canImport(Darwin)
    private final class Anchor {}
  #endif
}
