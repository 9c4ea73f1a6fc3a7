internal import Foundation

/// Whether two paths refer to the same file.
public enum FileIdentity {
  /// Whether two paths refer to the same file: through links, other spellings, or hard links.
  ///
  /// Paths of missing files are compared by their folders and names.
  public static func isSame(_ one: String, _ other: String) -> Bool {
    switch (number(of: one), number(of: other)) {
    case (let one?, let other?): return one == other
    case (nil, nil): return place(of: one) == place(of: other)
    case (nil, _), (_, nil): return false
    }
  }

  private static func number(of path: String) -> [UInt64]? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return [UInt64(truncatingIfNeeded: status.st_dev), UInt64(truncatingIfNeeded: status.st_ino)]
  }

  private static func place(of path: String) -> String {
    let url = URL(filePath: path)
    let folder = url.deletingLastPathComponent().resolvingSymlinksInPath().path
    return "\(folder)/\(url.lastPathComponent)"
  }
}
