internal import FlowEngine

extension Session {
  /// Copies one row's elements into an input that holds several rows.
  func write(_ source: Span<Float>, toRow row: Int, of rowCount: Int, input index: Int) {
    write(input: index, as: Float.self) { input in
      let count = source.count
      precondition(
        input.count == rowCount * count,
        "a row of input \(index) has \(input.count / rowCount) elements, got \(count)")
      for element in 0..<count { input[row * count + element] = source[element] }
    }
  }
}
