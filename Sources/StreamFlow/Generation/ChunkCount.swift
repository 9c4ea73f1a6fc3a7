/// How many chunks the conditionings of a tick have together.
///
/// A conditioning of fewer chunks is repeated as a whole until it has as many. That changes
/// nothing: attention over the same tokens twice halves each one's part, and sums it twice.
enum ChunkCount {
  /// The most chunks that conditionings are repeated up to to share a tick.
  static let sharedLimit = 8

  /// The smallest count that both divide.
  static func common(_ first: Int, _ second: Int) -> Int {
    precondition(first > 0 && second > 0, "a conditioning has a chunk, got \(first), \(second)")
    var (divisor, rest) = (first, second)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    return first / divisor * second
  }

  /// The count of a tick that one more joins; nothing where it must wait until all others are
  /// done, because the tick would become too large.
  static func joined(_ current: Int, by count: Int, isAlone: Bool) -> Int? {
    let common = common(current, count)
    return isAlone || common == current || common <= sharedLimit ? common : nil
  }
}
