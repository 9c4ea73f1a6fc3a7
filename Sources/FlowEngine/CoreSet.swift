/// Logical cores of the CPU that make up a device: `0-7`, or `0-3+16-19`.
public struct CoreSet: Hashable, Sendable, CustomStringConvertible {
  /// The numbers of the cores, as the system counts them, ascending.
  public let cores: [Int]

  /// The most cores that the system's masks have room for.
  static let limit = 1024

  /// Reads ranges joined by `+`.
  ///
  /// - Throws: `deviceUnavailable` for a text that is no such list.
  public init(parsing text: some StringProtocol) throws(EngineError) {
    var found: Set<Int> = []
    for part in text.split(separator: "+", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        first >= 0, first <= last, last < Self.limit, part.allSatisfy({ $0.isNumber || $0 == "-" })
      else {
        throw EngineError(
          code: .deviceUnavailable,
          message: "'\(text)' names no cores of the CPU; expected a core, a range such as 0-7, or "
            + "several joined by + (0-3+16-19), below \(Self.limit)")
      }
      found.formUnion(first...last)
    }
    cores = found.sorted()
  }

  /// The cores that this process may use, or nil where the system does not tell.
  public static var available: CoreSet? { ThreadAffinity.current }

  init(_ cores: some Sequence<Int>) { self.cores = Set(cores).sorted() }

  /// The number of cores.
  public var count: Int { cores.count }

  /// Ranges joined by `+`.
  public var description: String {
    var ranges: [ClosedRange<Int>] = []
    for core in cores {
      if let last = ranges.last, last.upperBound + 1 == core {
        ranges[ranges.count - 1] = last.lowerBound...core
      } else {
        ranges.append(core...core)
      }
    }
    return ranges.map { range in
      range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
    }.joined(separator: "+")
  }

  /// The cores that are in both.
  public func intersection(_ other: CoreSet) -> CoreSet {
    CoreSet(Set(cores).intersection(other.cores))
  }

  /// Makes sure that a thread of this process can be confined to these cores.
  ///
  /// - Throws: `deviceUnavailable`, with the cores that there are.
  func check() throws(EngineError) {
    guard let available = ThreadAffinity.current else {
      throw EngineError(
        code: .deviceUnavailable,
        message:
          "cores of the CPU can be chosen on Linux alone; name the device CPU, and the number "
          + "of threads")
    }
    let missing = Set(cores).subtracting(available.cores)
    guard missing.isEmpty else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'cpu:\(self)' has the cores \(CoreSet(missing)), and this process may use "
          + "\(available)")
    }
  }
}
