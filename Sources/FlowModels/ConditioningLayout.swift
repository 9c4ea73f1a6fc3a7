/// How conditionings of different lengths share a tick.
///
/// Attention to a text that is repeated as a whole gives what it gives to the text alone: each
/// token's weight is halved, and summed twice. That holds for cross-attention only. Where image and
/// text attend to each other in one sequence, a repeated text would have twice the weight against
/// the image: there texts are padded and masked, or each length is a lane of its own.
package enum ConditioningLayout: Sendable {
  /// The network attends to the text apart from the image: texts are repeated to a common length.
  case crossAttention
  /// Image and text are one sequence, and all of a text is read: each length is a lane.
  case joint
  /// The network reads how many tokens of a text count and leaves out the rest: texts are padded
  /// with zeros.
  case masked

  /// The most chunks that conditionings are repeated up to to share a tick.
  package static let sharedLimit = 8

  /// The least length that conditionings of two lengths can share: where they are repeated, the
  /// smallest that both divide; where they are padded, the power of two that holds both, so that
  /// few engines serve all lengths.
  package func common(_ first: Int, _ second: Int) -> Int {
    precondition(first > 0 && second > 0, "a conditioning has a chunk, got \(first), \(second)")
    if self == .masked {
      return sequence(first: 1) { $0 * 2 }.first { $0 >= max(first, second) } ?? first
    }
    var (divisor, rest) = (first, second)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    return first / divisor * second
  }

  /// The length of the two conditionings of a guided image.
  ///
  /// - Throws: `requestInvalid` where they differ and have none in common.
  package func length(_ conditional: Int, _ unconditional: Int) throws(ModelError) -> Int {
    guard self == .joint, conditional != unconditional else {
      return common(conditional, unconditional)
    }
    throw ModelError(
      code: .requestInvalid,
      message: "prompt and negative prompt take \(conditional) and \(unconditional) chunks of "
        + "tokens, which must be as many for this model; make them of like length")
  }

  /// The chunks of a lane that a conditioning of so many joins; nil where it must wait until the lane
  /// is empty, because ticks would become too large.
  ///
  /// - Parameters:
  ///   - current: the chunks of the lane.
  ///   - count: the chunks of the conditioning.
  ///   - isAlone: whether nothing else is in the lane.
  package func joined(_ current: Int, by count: Int, isAlone: Bool) -> Int? {
    let common = common(current, count)
    let fits = self == .masked || common == current || common <= Self.sharedLimit
    return isAlone || fits ? common : nil
  }
}
