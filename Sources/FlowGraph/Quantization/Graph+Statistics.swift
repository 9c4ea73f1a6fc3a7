internal import FlowCore

extension Graph {
  /// The statistics that a calibration reads of one tensor in every run.
  public struct Statistics: Sendable {
    /// The layers that read the tensor.
    public fileprivate(set) var layers: [String]
    /// The range of its sampled elements in the output `elements`.
    public let elements: Range<Int>
  }

  /// Adds three outputs with statistics of some layers' inputs: `minima` and `maxima`, one value
  /// per tensor, and `elements`, an evenly spaced sample of each tensor.
  ///
  /// - Parameters:
  ///   - isRead: whether to include a layer, by its name.
  ///   - elementCount: the approximate sample size of each tensor.
  /// - Returns: the tensors in the order of the outputs; if it is empty, no outputs were added.
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

  /// About `count` elements, at a stride that is coprime to their number, so that all channels and
  /// positions are represented.
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
