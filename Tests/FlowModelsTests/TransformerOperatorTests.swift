import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

/// The operators of transformers through the engine, against plain functions of a few lines.
@Suite(.tags(.engine)) struct TransformerOperatorTests {
  private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var noise = GaussianNoise(seed: seed)
    return noise.latents(shape: [count]).scalars
  }

  /// What a graph of inputs of some shapes, and a layer's weight, gives for random numbers.
  private func run(
    _ shapes: [Shape], weight: [Float] = [0], _ build: ([Value], WeightScope) throws -> Value
  ) throws -> (inputs: [[Float]], output: [Float]) {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      SafetensorsWriter.file([("layer.weight", [weight.count], weight)]), as: "w.safetensors")
    let store = try WeightStore(file: path)
    let graph = Graph(name: "operator")
    let values = shapes.enumerated().map { graph.input(PortName("input\($0)"), shape: $1) }
    graph.output(try build(values, store.root["layer"]), as: "output")
    let program = try Program.compiled(GraphModule(graph, weightsIdentity: store.identity))
    let inputs = shapes.enumerated().map { index, shape in
      Self.numbers(shape.elementCount, seed: UInt64(index) + 1)
    }
    for (index, numbers) in inputs.enumerated() {
      program.withInput(index, as: Float.self) { span in
        for place in span.indices { span[place] = numbers[place] }
      }
    }
    try program.run()
    return (inputs, program.read(0, as: Float.self) { span in span.indices.map { span[$0] } })
  }

  /// The rows of the last axis, in double precision.
  private static func rows(_ numbers: [Float], width: Int) -> [[Double]] {
    stride(from: 0, to: numbers.count, by: width).map { start in
      numbers[start..<start + width].map(Double.init)
    }
  }

  @Test("Root mean square normalization is its formula", arguments: [1e-6, 0.5] as [Float])
  func rmsNorm(epsilon: Float) throws {
    let weight = Self.numbers(6, seed: 9)
    let (inputs, weighted) = try run([[2, 5, 6]], weight: weight) { values, layer in
      try values[0].rmsNorm(layer, epsilon: epsilon)
    }
    let (_, bare) = try run([[2, 5, 6]]) { values, _ in try values[0].rmsNorm(epsilon: epsilon) }
    let expected = Self.rows(inputs[0], width: 6).flatMap { row in
      let mean = row.reduce(0) { $0 + $1 * $1 } / 6
      return row.map { Float($0 / (mean + Double(epsilon)).squareRoot()) }
    }
    expectClose(bare, expected, tolerance: 2e-6)
    expectClose(
      weighted, expected.indices.map { expected[$0] * weight[$0 % 6] }, tolerance: 4e-6)
  }

  @Test("A weight that is not as wide as what it normalizes is refused")
  func rmsNormWidth() throws {
    let error = #expect(throws: GraphError.self) {
      try run([[1, 2, 6]], weight: [1, 1, 1]) { values, layer in
        try values[0].rmsNorm(layer, epsilon: 1e-6)
      }
    }
    #expect(error?.message == "layer.weight is [3], expected [6]")
  }

  @Test("Layer normalization without scale and shift is its formula")
  func layerNorm() throws {
    let (inputs, output) = try run([[3, 2, 7]]) { values, _ in
      try values[0].layerNorm(epsilon: 1e-3)
    }
    let expected = Self.rows(inputs[0], width: 7).flatMap { row in
      let mean = row.reduce(0, +) / 7
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 7
      return row.map { Float(($0 - mean) / (variance + 1e-3).squareRoot()) }
    }
    expectClose(output, expected, tolerance: 2e-6)
  }

  @Test("Modulation scales by one more than the scale, and then shifts, each row by its own")
  func modulated() throws {
    let (inputs, output) = try run([[2, 3, 4], [2, 1, 4], [2, 1, 4]]) { values, _ in
      try values[0].modulated(scale: values[1], shift: values[2])
    }
    let expected = inputs[0].indices.map { index in
      let other = index / 12 * 4 + index % 4
      return inputs[0][index] * (1 + inputs[1][other]) + inputs[2][other]
    }
    expectClose(output, expected, tolerance: 1e-6)
  }

  @Test("Heads are split from the last axis in order, and joined again")
  func heads() throws {
    let (inputs, split) = try run([[2, 3, 8]]) { values, _ in try values[0].splitIntoHeads(4) }
    let expected = (0..<48).map { index -> Float in
      let (row, head, token, channel) = (index / 24, index / 6 % 4, index / 2 % 3, index % 2)
      return inputs[0][row * 24 + token * 8 + head * 2 + channel]
    }
    #expect(split == expected)
    let (_, joined) = try run([[2, 3, 8]]) { values, _ in
      try values[0].splitIntoHeads(4).joinedHeads()
    }
    #expect(joined == inputs[0])
    #expect(throws: GraphError.self) {
      try run([[2, 3, 8]]) { values, _ in try values[0].splitIntoHeads(3) }
    }
  }

  @Test(
    "Attention of heads is its formula, keys and values shared by several, masked and scaled",
    arguments: [6, 3, 2, 1], [nil, 1, 0.3] as [Float?])
  func attention(shared: Int, scale: Float?) throws {
    let (rows, heads, queries, keys, width) = (2, 6, 4, 5, 3)
    for isMasked in [false, true] {
      let masks: [Shape] = isMasked ? [[rows, 1, queries, keys]] : []
      let (inputs, output) = try run(
        [[rows, heads, queries, width]] + [Shape](repeating: [rows, shared, keys, width], count: 2)
          + masks
      ) { values, _ in
        try values[0].headAttention(
          key: values[1], value: values[2], scale: scale, mask: isMasked ? values[3] : nil)
      }
      let factor = scale.map(Double.init) ?? 1 / Double(width).squareRoot()
      let query = Self.rows(inputs[0], width: width)
      let key = Self.rows(inputs[1], width: width)
      let value = Self.rows(inputs[2], width: width)
      var expected: [Float] = []
      for (index, vector) in query.enumerated() {
        let (row, head, token) = (
          index / queries / heads, index / queries % heads, index % queries
        )
        // Neighbors share a head of keys and values.
        let first = (row * shared + head / (heads / shared)) * keys
        let mask = isMasked ? Self.rows(inputs[3], width: keys)[row * queries + token] : nil
        expected += Self.attended(
          vector.map { $0 * factor }, Array(key[first..<first + keys]),
          Array(value[first..<first + keys]), mask: mask)
      }
      expectClose(output, expected, tolerance: 2e-6)
    }
  }

  /// One query's part of the values.
  private static func attended(
    _ query: [Double], _ keys: [[Double]], _ values: [[Double]], mask: [Double]?
  ) -> [Float] {
    var powers: [Double] = []
    for (place, key) in keys.enumerated() {
      let product = zip(query, key).reduce(0.0) { $0 + $1.0 * $1.1 }
      powers.append(exp(product + (mask?[place] ?? 0)))
    }
    let sum = powers.reduce(0, +)
    var attended = [Double](repeating: 0, count: values[0].count)
    for (power, value) in zip(powers, values) {
      for channel in value.indices { attended[channel] += power / sum * value[channel] }
    }
    return attended.map { Float($0) }
  }

  @Test("Heads that do not divide by those that share them are refused")
  func attentionShapes() throws {
    #expect(throws: GraphError.self) {
      try run([[1, 6, 2, 4], [1, 4, 2, 4], [1, 4, 2, 4]]) { values, _ in
        try values[0].headAttention(key: values[1], value: values[2])
      }
    }
  }

  @Test("A rotary embedding turns each pair by its angle, neighbors or halves")
  func rotated() throws {
    let (rows, heads, tokens, width) = (2, 3, 4, 6)
    for isAdjacent in [true, false] {
      /// The pair that an element is of, and whether it is the first of the two.
      func place(_ channel: Int) -> (pair: Int, isFirst: Bool) {
        isAdjacent
          ? (channel / 2, channel.isMultiple(of: 2)) : (channel % (width / 2), channel < width / 2)
      }
      func angle(_ token: Int, _ pair: Int) -> Double {
        Double(token) * 0.7 / Double(pair + 1) + 0.2
      }
      let angles = (0..<tokens).flatMap { token in
        (0..<width).map { angle(token, place($0).pair) }
      }
      let (inputs, output) = try run([[rows, heads, tokens, width]]) { values, _ in
        let graph = values[0].graph
        return try values[0].rotated(
          cosine: graph.constant(angles.map { Float(cos($0)) }, shape: [tokens, width]),
          sine: graph.constant(angles.map { Float(sin($0)) }, shape: [tokens, width]),
          pairs: isAdjacent ? .adjacent : .halves)
      }
      var expected: [Float] = []
      for (index, row) in Self.rows(inputs[0], width: width).enumerated() {
        for channel in 0..<width {
          let (pair, isFirst) = place(channel)
          let turn = angle(index % tokens, pair)
          let first = row[isAdjacent ? 2 * pair : pair]
          let second = row[isAdjacent ? 2 * pair + 1 : pair + width / 2]
          // A turn of the plane: (first + i second) e^(i turn).
          let real = first * cos(turn) - second * sin(turn)
          let imaginary = first * sin(turn) + second * cos(turn)
          expected.append(Float(isFirst ? real : imaginary))
        }
      }
      expectClose(output, expected, tolerance: 2e-6)
    }
  }

  @Test("Rows are looked up by whole numbers that a graph carries in itself")
  func indices() throws {
    let graph = Graph(name: "indices")
    let indices = try graph.indices([3, 0, 2, 1, 1, 0], shape: [2, 3])
    #expect(indices.shape == [2, 3] && indices.type == .int64)
    #expect(throws: GraphError.self) { try graph.indices([1, 2], shape: [3]) }
  }
}
