internal import Foundation

/// The cores that a thread may run on.
///
/// A runtime whose own pinning is off computes on the thread that calls it, and that thread stays
/// on its cores. Linux alone has such masks.
enum ThreadAffinity {
  private typealias Call = @convention(c) (Int32, Int, UnsafeMutableRawPointer) -> Int32

  /// The system's two functions, where it has them; Swift's module of the C library hides them.
  @safe
  private struct Functions: Sendable {
    let get: Call
    let set: Call
  }

  private static let functions: Functions? = {
    guard let library = unsafe dlopen(nil, RTLD_NOW),
      let get = unsafe dlsym(library, "sched_getaffinity"),
      let set = unsafe dlsym(library, "sched_setaffinity")
    else { return nil }
    return unsafe Functions(
      get: unsafeBitCast(get, to: Call.self), set: unsafeBitCast(set, to: Call.self))
  }()

  private static let wordCount = CoreSet.limit / UInt.bitWidth

  /// The cores of the calling thread, or nil where the system does not tell.
  static var current: CoreSet? {
    mask.map { mask in
      CoreSet(
        (0..<CoreSet.limit).filter { mask[$0 / UInt.bitWidth] >> ($0 % UInt.bitWidth) & 1 == 1 })
    }
  }

  /// The calling thread's mask, a bit for each core.
  private static var mask: [UInt]? {
    guard let functions else { return nil }
    var words = [UInt](repeating: 0, count: wordCount)
    let status = unsafe words.withUnsafeMutableBytes { bytes in
      unsafe bytes.baseAddress.map { unsafe functions.get(0, bytes.count, $0) } ?? -1
    }
    return status >= 0 ? words : nil
  }

  /// Gives the calling thread a mask; false where the system refuses.
  @discardableResult
  private static func apply(_ mask: [UInt]) -> Bool {
    guard let functions else { return false }
    var words = mask
    return unsafe words.withUnsafeMutableBytes { bytes in
      unsafe bytes.baseAddress.map { unsafe functions.set(0, bytes.count, $0) == 0 } ?? false
    }
  }

  /// Does some work on the calling thread, confined to some cores meanwhile; anywhere for nil.
  ///
  /// - Throws: `deviceUnavailable` where the system no longer lets the process use them.
  static func within<Result>(
    _ cores: CoreSet?, _ work: () throws(EngineError) -> Result
  ) throws(EngineError) -> Result {
    guard let cores, let before = mask else { return try work() }
    // The thread is the system's: others find it as it was.
    defer { apply(before) }
    var wanted = [UInt](repeating: 0, count: wordCount)
    for core in cores.cores { wanted[core / UInt.bitWidth] |= 1 << UInt(core % UInt.bitWidth) }
    guard apply(wanted) else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "the system does not let this process run on the cores \(cores) any more")
    }
    return try work()
  }
}
