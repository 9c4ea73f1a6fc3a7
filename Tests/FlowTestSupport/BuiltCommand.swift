internal import Foundation

/// The `streamflow` that was built with the tests.
public enum BuiltCommand {
  /// Its path, beside the tests: their bundle on macOS, their executable elsewhere.
  public static let path =
    (Bundle.allBundles.map(\.bundleURL) + [URL(filePath: CommandLine.arguments[0])])
    .map { $0.deletingLastPathComponent().appending(path: "streamflow").path }
    .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "streamflow"
}
