public import Foundation

/// The disk space limit of an engine cache.
public enum EngineCacheLimit: Equatable, Sendable {
  /// A tenth of the disk's free space without the cache, at least 4 GB.
  case automatic
  /// A number of bytes.
  case bytes(Int)
  /// No limit.
  case unlimited

  private static let smallestAutomatic = 4_000_000_000

  /// The limit in `$STREAMFLOW_CACHE_LIMIT`; automatic if unset or empty.
  ///
  /// - Throws: `cacheUnusable` if the value is not a size.
  public static func named(
    in environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(EngineError) -> EngineCacheLimit {
    guard let text = environment["STREAMFLOW_CACHE_LIMIT"], !text.isEmpty else { return .automatic }
    guard let limit = EngineCacheLimit(text) else {
      throw EngineError(
        code: .cacheUnusable,
        message:
          "STREAMFLOW_CACHE_LIMIT must be a size such as 8GB or 500MB, 0 or off for no limit, "
          + "or auto, got '\(text)'")
    }
    return limit
  }

  /// Parses `auto`, `off`, `0`, or a number of bytes with an optional unit: `kB`, `MB`, `GB` and
  /// `TB` are powers of 1000, `KiB`, `MiB`, `GiB` and `TiB` of 1024; case does not matter.
  public init?(_ text: String) {
    let text = text.lowercased()
    switch text {
    case "auto": self = .automatic
    case "off", "none": self = .unlimited
    default:
      let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      let unit = text[digits.endIndex...].drop { $0 == " " }
      let units: [Substring: Double] = [
        "": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12,
        "tb": 1e12, "kib": 1024, "mib": 1_048_576, "gib": 1_073_741_824, "tib": 1_099_511_627_776,
      ]
      guard let number = Double(digits), let factor = units[unit], number * factor < 1e18 else {
        return nil
      }
      self = number == 0 ? .unlimited : .bytes(Int(number * factor))
    }
  }

  /// The limit of a cache in a folder, in bytes; nil if there is none.
  ///
  /// - Parameters:
  ///   - folder: the folder, which need not exist.
  ///   - usedByteCount: the current size of the cache.
  func byteCount(inFolder folder: String, usedByteCount: Int) -> Int? {
    switch self {
    case .unlimited: return nil
    case .bytes(let count): return count
    case .automatic:
      var place = URL(filePath: folder)
      while !FileManager.default.fileExists(atPath: place.path), place.path.count > 1 {
        place.deleteLastPathComponent()
      }
      let attributes = try? FileManager.default.attributesOfFileSystem(forPath: place.path)
      guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.intValue else {
        return Self.smallestAutomatic
      }
      return max((free + usedByteCount) / 10, Self.smallestAutomatic)
    }
  }
}
