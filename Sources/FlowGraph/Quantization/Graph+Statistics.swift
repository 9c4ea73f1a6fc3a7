internal import FlowCore

extension Graph {
  /// What a calibration reads of one tensor at every run.
  public struct Statistics: Sendable {
    /// The layers that read the tensor.
    public fileprivate(set) var layers: [String]
    /// Where the sample of its elements is in the output `elements`.
    public let elements: Range<Int>
  }

  /// Names what a calibration reads of the inputs of some layers as three more outputs: `minima`
  /// and `maxima`, one of each for every tensor, and `elements`, some elements of each, spread
  /// evenly.
  ///
  /// - Parameters:
  ///   - isRead: whether a layer is one of them, by its name.
  ///   - elementCount: about how many elements of each tensor come out.
  /// - Returns: the tensors in the order of the outputs; none, and no outputs, where there are none.
  public func addStatistics(
    of isRead: (String) -> Bool, elementCount: Int
  ) throws(GraphError) -> [Statistics] {
    var read: [Statistics] = []
    var indices: [String: Int] = [:]
    var (minima, maxima, elements): ([Value], [Value], [Value]) = ([], [], [])
    for entry in layers where isRead(entry.name) {
      let (layer, input) = (entry.name, Value(graph: self, info: entry.input))
      if let index = indices[input.name] {
        if !read[index].layers.contains(layer) { read[index].layers.append(layer) }
        continue
      }
      let sample = try input.spread(over: elementCount)
      let start = read.last?.elements.upperBound ?? 0
      indices[input.name] = read.count
      read.append(Statistics(layers: [layer], elements: start..<start + sample.shape[0]))
      minima.append(try input.extreme("ReduceMin"))
      maxima.append(try input.extreme("ReduceMax"))
      elements.append(sample)
    }
    guard !read.isEmpty else { return [] }
    output(try .concatenated(minima, axis: 0), as: "minima")
    output(try .concatenated(maxima, axis: 0), as: "maxima")
    output(try .concatenated(elements, axis: 0), as: "elements")
    return read
  }
}

extension Value {
  fileprivate func extreme(_ operation: String) throws(GraphError) -> Value {
    let flat = try reshaped([shape.elementCount])
    return graph.add(
      operation, [flat, graph.integers([0])], shape: [1], attributes: [("keepdims", .integer(1))])
  }

  /// About so many elements, a step apart that shares no factor with their number, so that they
  /// are of all channels and places.
  fileprivate func spread(over count: Int) throws(GraphError) -> Value {
    let total = shape.elementCount
    var step = max(total / max(count, 1), 1)
    while step > 1, Self.greatestCommonDivisor(step, total) > 1 { step -= 1 }
    let flat = try reshaped([total])
    guard step > 1 else { return flat }
    return graph.add(
      "Slice",
      [
        flat, graph.integers([0]), graph.integers([total]), graph.integers([0]),
        graph.integers([step]),
      ],
      shape: [(total + step - 1) / step])
  }

  private static func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
    right == 0 ? left : greatestCommonDivisor(right, left % right)
  }
}
