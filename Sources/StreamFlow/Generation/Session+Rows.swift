internal import FlowEngine

extension Session {
  /// Copies an input's elements in.
  func write<Element: BitwiseCopyable>(_ source: Span<Element>, input index: Int) {
    write(input: index, as: Element.self) { input in
      precondition(
        input.count == source.count,
        "input \(index) has \(input.count) elements, got \(source.count)")
      for element in source.indices { input[element] = source[element] }
    }
  }

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
