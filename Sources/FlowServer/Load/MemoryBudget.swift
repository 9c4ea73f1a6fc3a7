internal import HTTPTypes
internal import Synchronization

/// The memory that the bodies and images of all requests share.
final class MemoryBudget: Sendable {
  /// The maximum number of reserved bytes.
  let capacity: Int
  private let used = Mutex(0)

  init(capacity: Int) { self.capacity = capacity }

  /// The number of reserved bytes.
  var reservedByteCount: Int { used.withLock { $0 } }

  /// Reserves memory until the last reference to the result is released.
  ///
  /// - Throws: 429 if the rest is too small.
  func reserve(_ byteCount: Int = 0) throws(ServerError) -> MemoryReservation {
    let reservation = MemoryReservation(self)
    try reservation.grow(by: byteCount)
    return reservation
  }

  fileprivate func take(_ byteCount: Int) throws(ServerError) {
    let inUse = used.withLock { used -> Int? in
      guard byteCount <= capacity - used else { return used }
      used += byteCount
      return nil
    }
    guard let inUse else { return }
    guard byteCount <= capacity else {
      throw ServerError(
        .contentTooLarge, "memory_limit",
        "this needs \(byteCount) bytes of memory, and the bodies and images of all requests have "
          + "\(capacity) together; send a smaller image")
    }
    throw ServerError(
      .tooManyRequests, "memory_full",
      "the bodies and images of all requests have \(capacity) bytes of memory together, of which "
        + "\(inUse) are in use and \(byteCount) more are needed; try again in 2 s", retryAfter: 2)
  }

  fileprivate func give(_ byteCount: Int) { used.withLock { $0 -= byteCount } }
}

/// A part of the budget.
final class MemoryReservation: Sendable {
  private let budget: MemoryBudget
  private let count = Mutex(0)

  fileprivate init(_ budget: MemoryBudget) { self.budget = budget }

  deinit { budget.give(count.withLock { $0 }) }

  /// Reserves more.
  ///
  /// - Throws: 429 if the rest of the budget is too small.
  func grow(by byteCount: Int) throws(ServerError) {
    try budget.take(byteCount)
    count.withLock { $0 += byteCount }
  }

  /// Releases all but a number of bytes.
  func shrink(to byteCount: Int) {
    let freed = count.withLock { count in
      let freed = max(count - byteCount, 0)
      count -= freed
      return freed
    }
    budget.give(freed)
  }
}
