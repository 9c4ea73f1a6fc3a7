/// How conditionings of different lengths share a tick.
///
/// Attention to a text that is repeated as a whole equals attention to the text alone: each token's
/// weight is halved, and summed twice. This holds for cross-attention only. If image and text
/// attend to each other in one sequence, a repeated text would get twice the weight relative to the
/// image; such texts are padded and masked, or each length is a separate lane.
package enum ConditioningLayout: Sendable {
  /// The network attends to the text separately from the image: texts are repeated to a common
  /// length.
  case crossAttention
  /// Image and text form one sequence without a mask: each length is a separate lane.
  case joint
  /// The network reads the number of valid tokens and masks the rest: texts are padded with zeros.
  case masked

  /// The maximum number of chunks to which conditionings are repeated to share a tick.
  package static let sharedLimit = 8

  /// The minimum common length of two conditionings: for repetition, the least common multiple; for
  /// padding, the power of two that fits both, so that few engines serve all lengths.
  package func common(_ first: Int, _ second: Int) -> Int {
    precondition(first > 0 && second > 0, "a conditioning has a chunk, got \(first), \(second)")
    if self == .masked {
      return sequence(first: 1) { $0 * 2 }.first { $0 >= max(first, second) } ?? first
    }
    var (divisor, rest) = (first, second)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    return first / divisor * second
  }

  /// The common length of the two conditionings of a guided image.
  ///
  /// - Throws: `requestInvalid` if they differ and have no common length.
  package func length(_ conditional: Int, _ unconditional: Int) throws(ModelError) -> Int {
    guard self == .joint, conditional != unconditional else {
      return common(conditional, unconditional)
    }
    throw ModelError(
      code: .requestInvalid,
      message: "prompt and negative prompt take \(conditional) and \(unconditional) chunks of "
        + "tokens, which must be equal for this model; use prompts of similar length")
  }

  /// The number of chunks of a lane after a conditioning joins; nil if it must wait until the lane
  /// is empty, because ticks would become too large.
  ///
  /// - Parameters:
  ///   - current: the current number of chunks of the lane.
  ///   - count: the number of chunks of the conditioning.
  ///   - isAlone: whether the lane is otherwise empty.
  package func joined(_ current: Int, by count: Int, isAlone: Bool) -> Int? {
    let common = common(current, count)
    let fits = self == .masked || common == current || common <= Self.sharedLimit
    return isAlone || fits ? common : nil
  }
}
