public import FlowModels

/// One process's part of a run: every image whose index modulo the number of processes is its rank.
///
/// Processes need not know of each other: seeds and names follow from the index alone, so the
/// images are the same for any number of processes. Indices are interleaved rather than split into
/// blocks, so that the cost is even if prompts are sorted by length or size.
///
/// ```swift
/// let share = try WorkShare(environment: ProcessInfo.processInfo.environment)
/// for index in share.indices(below: prompts.count) { ... }
/// ```
public struct WorkShare: Equatable, Sendable {
  /// The number of this process, from 0.
  public let rank: Int
  /// The number of processes.
  public let world: Int

  /// All of the work, for one process.
  public static let whole = WorkShare(checkedRank: 0, world: 1)

  private init(checkedRank rank: Int, world: Int) { (self.rank, self.world) = (rank, world) }

  /// A share.
  ///
  /// - Parameters:
  ///   - rank: the number of this process, from 0, less than `world`.
  ///   - world: the number of processes, 1 or more.
  /// - Throws: `requestInvalid` if the rank or the number of processes is out of range.
  public init(rank: Int, world: Int) throws(ModelError) {
    try self.init(rank: rank, world: world, source: "")
  }

  init(rank: Int, world: Int, source: String) throws(ModelError) {
    guard world >= 1, (0..<max(world, 1)).contains(rank) else {
      throw ModelError(
        code: .requestInvalid,
        message: "there is no rank \(rank) of \(world)\(source); ranks count from 0, and are less "
          + "than the number of processes", settings: [.share])
    }
    self.init(checkedRank: rank, world: world)
  }

  /// The indices of this share, in order.
  public func indices(below count: Int) -> StrideTo<Int> {
    stride(from: rank, to: count, by: world)
  }

  /// Whether an index belongs to this share.
  public func contains(_ index: Int) -> Bool { index % world == rank }
}
