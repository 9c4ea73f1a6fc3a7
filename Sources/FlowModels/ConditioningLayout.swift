/// How conditionings of different lengths share a tick.
///
/// Attention to a text that is repeated as a whole gives what it gives to the text alone: each
/// token's weight is halved, and summed twice. That holds for cross-attention only. Where image and
/// text attend to each other in one sequence, a repeated text would have twice the weight against
/// the image: there each length is a lane of its own.
package enum ConditioningLayout: Sendable {
  /// The network attends to the text apart from the image.
  case crossAttention
  /// Image and text are one sequence.
  case joint

  /// The most chunks that conditionings are repeated up to to share a tick.
  static let sharedLimit = 8

  /// The length of a conditioning whose parts have two lengths: where they can be repeated, the
  /// smallest that both divide.
  package static func common(_ first: Int, _ second: Int) -> Int {
    precondition(first > 0 && second > 0, "a conditioning has a chunk, got \(first), \(second)")
    var (divisor, rest) = (first, second)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    return first / divisor * second
  }

  /// The length of the two conditionings of a guided image.
  ///
  /// - Throws: `requestInvalid` where they differ and neither can be repeated.
  package func length(_ conditional: Int, _ unconditional: Int) throws(ModelError) -> Int {
    guard self == .joint, conditional != unconditional else {
      return Self.common(conditional, unconditional)
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
  package static func joined(_ current: Int, by count: Int, isAlone: Bool) -> Int? {
    let common = common(current, count)
    return isAlone || common == current || common <= sharedLimit ? common : nil
  }
}
