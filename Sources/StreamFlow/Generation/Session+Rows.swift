internal import FlowEngine

extension Session {
  /// Copies one row's elements, as often as is said, into an input that holds several rows.
  func write(
    _ source: Span<Float>, toRow row: Int, of rowCount: Int, input index: Int, times: Int = 1
  ) {
    write(input: index, as: Float.self) { input in
      let count = source.count
      precondition(
        input.count == rowCount * times * count,
        "a row of input \(index) has \(input.count / rowCount) elements, got \(times * count)")
      for start in row * times..<(row + 1) * times {
        for element in 0..<count { input[start * count + element] = source[element] }
      }
    }
  }
}
