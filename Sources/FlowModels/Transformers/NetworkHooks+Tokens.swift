internal import FlowCore
internal import FlowGraph

extension NetworkHooks {
  /// The value at a hook, of whose tokens adapters change a run.
  ///
  /// The value is `[rows, tokens, width]`.
  func callAsFunction(
    _ hook: NetworkHook, _ value: Value, tokens: Range<Int>
  ) throws(GraphError) -> Value {
    guard acts(at: hook) else { return value }
    let count = value.shape[1]
    let changed = try self(
      hook, value.sliced(axis: 1, from: tokens.lowerBound, to: tokens.upperBound))
    let rests = [0..<tokens.lowerBound, tokens.upperBound..<count]
    let (before, after) = (rests[0], rests[1])
    var parts = [changed]
    if !before.isEmpty {
      parts.insert(try value.sliced(axis: 1, from: 0, to: before.upperBound), at: 0)
    }
    if !after.isEmpty {
      parts.append(try value.sliced(axis: 1, from: after.lowerBound, to: count))
    }
    return try .concatenated(parts, axis: 1)
  }
}
