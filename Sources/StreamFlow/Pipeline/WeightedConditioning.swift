internal import FlowModels
internal import FlowText

extension ChunkedPrompt.Chunk {
  /// Weights the hidden states of the chunk's tokens, and scales all of them to keep their mean.
  ///
  /// The web UI's original emphasis; if all weights are 1, nothing changes.
  ///
  /// If the mean is within 1/100 of the states' root mean square, it is an accident of their signs,
  /// and the ratio of two such means can be anything. The states are then weighted and not scaled,
  /// which is the web UI's emphasis without a norm.
  func weigh(_ hidden: inout [Float]) {
    guard !isUnweighted else { return }
    let width = hidden.count / weights.count
    let before = Self.meaningfulMean(of: hidden)
    for (token, weight) in weights.enumerated() {
      for index in token * width..<(token + 1) * width { hidden[index] *= weight }
    }
    guard let before, let after = Self.meaningfulMean(of: hidden) else { return }
    let scale = Float(before / after)
    for index in hidden.indices { hidden[index] *= scale }
  }

  private static func meaningfulMean(of scalars: [Float]) -> Double? {
    var (sum, squares) = (0.0, 0.0)
    for scalar in scalars {
      sum += Double(scalar)
      squares += Double(scalar) * Double(scalar)
    }
    let count = Double(scalars.count)
    let mean = sum / count
    return abs(mean) >= (squares / count).squareRoot() / 100 ? mean : nil
  }
}
