import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

/// Each operator on every backend that is there, against a plain function of a few lines.
@Suite(.tags(.engine)) struct OperatorTests {
  static func numbers(_ count: Int, seed: UInt64 = 1) -> [Float] {
    var noise = GaussianNoise(seed: seed)
    return noise.latents(shape: [count]).scalars
  }

  func run(
    _ shapes: [Shape], _ inputs: [[Float]],
    weights: [(name: String, shape: [Int], scalars: [Float])] = [], on backend: TestBackend,
    _ build: ([Value], WeightScope) throws -> Value
  ) throws -> [Float] {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      SafetensorsWriter.file(weights.isEmpty ? [("unused", [1], [0])] : weights),
      as: "w.safetensors")
    let store = try WeightStore(file: path)
    let graph = Graph(name: "operator")
    let values = shapes.enumerated().map { graph.input(PortName("input\($0)"), shape: $1) }
    graph.output(try build(values, store.root), as: "output")
    let session = try Program.compiled(
      GraphModule(graph, weightsIdentity: store.identity), on: backend)
    for (index, scalars) in inputs.enumerated() {
      session.withInput(index, as: Float.self) { for i in $0.indices { $0[i] = scalars[i] } }
    }
    try session.run()
    return session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "Activations are their formulas",
    arguments: [
      "sigmoid", "silu", "relu", "tanh", "gelu", "gelu-tanh", "quick-gelu", "sine", "cosine",
      "clamp",
      "round", "floor",
    ], TestBackend.all)
  func activations(name: String, backend: TestBackend) throws {
    let x = Self.numbers(200).map { $0 * 3 } + [0, 0.5, 1.5, 2.5, -0.5]
    let formulas: [String: (Double) -> Double] = [
      "sigmoid": { 1 / (1 + exp(-$0)) }, "silu": { $0 / (1 + exp(-$0)) }, "relu": { max($0, 0) },
      "tanh": { Foundation.tanh($0) }, "gelu": { $0 * (1 + erf($0 / 2.0.squareRoot())) / 2 },
      "gelu-tanh": {
        0.5 * $0
          * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
      },
      "quick-gelu": { $0 / (1 + exp(-1.702 * $0)) }, "sine": { sin($0) }, "cosine": { cos($0) },
      "clamp": { min(max($0, -1), 1) }, "round": { $0.rounded(.toNearestOrEven) },
      "floor": { $0.rounded(.down) },
    ]
    let formula = try #require(formulas[name])
    let actual = try run([[x.count]], [x], on: backend) { values, _ in
      let x = values[0]
      return switch name {
      case "sigmoid": x.sigmoid()
      case "silu": try x.silu()
      case "relu": x.relu()
      case "tanh": x.tanh()
      case "gelu": x.gelu()
      case "gelu-tanh": x.gelu(approximately: true)
      case "quick-gelu": try x.quickGELU()
      case "sine": x.sine()
      case "cosine": x.cosine()
      case "clamp": x.clamped(to: -1...1)
      case "floor": x.roundedDown()
      default: x.rounded()
      }
    }
    expectClose(actual, x.map { Float(formula(Double($0))) }, tolerance: 2e-6)
  }

  @Test(
    "A convolution is its sum", arguments: [(1, 1, 1), (1, 0, 0), (2, 1, 1), (2, 0, 1)],
    TestBackend.all)
  func convolution(stepAndPadding: (Int, Int, Int), backend: TestBackend) throws {
    let (stride, before, after) = stepAndPadding
    let (rows, channels, height, width, outputs) = (2, 3, 7, 6, 4)
    let x = Self.numbers(rows * channels * height * width)
    let weight = Self.numbers(outputs * channels * 9, seed: 2)
    let bias = Self.numbers(outputs, seed: 3)
    let outHeight = (height + before + after - 3) / stride + 1
    let outWidth = (width + before + after - 3) / stride + 1
    var expected: [Float] = []
    for row in 0..<rows {
      for output in 0..<outputs {
        for y in 0..<outHeight {
          for column in 0..<outWidth {
            var sum = bias[output]
            for channel in 0..<channels {
              for tap in 0..<9 {
                let (sy, sx) = (y * stride + tap / 3 - before, column * stride + tap % 3 - before)
                guard (0..<height).contains(sy), (0..<width).contains(sx) else { continue }
                sum +=
                  x[((row * channels + channel) * height + sy) * width + sx]
                  * weight[(output * channels + channel) * 9 + tap]
              }
            }
            expected.append(sum)
          }
        }
      }
    }
    let actual = try run(
      [[rows, channels, height, width]], [x],
      weights: [("c.weight", [outputs, channels, 3, 3], weight), ("c.bias", [outputs], bias)],
      on: backend
    ) { values, weights in
      try values[0].convolution(
        weights["c"], stride: stride, padding: .init(before: before, after: after))
    }
    expectClose(actual, expected, tolerance: 1e-5)
  }

  @Test(
    "A linear layer is a product with the transposed weight", arguments: TestBackend.all)
  func linear(backend: TestBackend) throws {
    let x = Self.numbers(2 * 3 * 5)
    let weight = Self.numbers(4 * 5, seed: 2)
    let bias = Self.numbers(4, seed: 3)
    var expected: [Float] = []
    for token in 0..<6 {
      for output in 0..<4 {
        var sum = bias[output]
        for index in 0..<5 { sum += x[token * 5 + index] * weight[output * 5 + index] }
        expected.append(sum)
      }
    }
    let actual = try run(
      [[2, 3, 5]], [x], weights: [("l.weight", [4, 5], weight), ("l.bias", [4], bias)],
      on: backend
    ) { try $0[0].linear($1["l"]) }
    expectClose(actual, expected, tolerance: 1e-5)
  }

  @Test(
    "Group and layer normalization take mean and spread out, and put weight and bias in",
    arguments: [1, 2, 4], TestBackend.all)
  func norms(groups: Int, backend: TestBackend) throws {
    let (rows, channels, places) = (2, 4, 6)
    let x = Self.numbers(rows * channels * places).map { $0 * 2 + 5 }
    let scale = Self.numbers(channels, seed: 2)
    let shift = Self.numbers(channels, seed: 3)
    func normalized(_ values: [Float], epsilon: Float) -> [Float] {
      let mean = values.reduce(0, +) / Float(values.count)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count)
      return values.map { ($0 - mean) / (variance + epsilon).squareRoot() }
    }
    let size = channels / groups * places
    var expected: [Float] = []
    for group in 0..<rows * groups {
      let part = Array(x[group * size..<(group + 1) * size])
      for (index, value) in normalized(part, epsilon: 1e-5).enumerated() {
        let channel = group % groups * (channels / groups) + index / places
        expected.append(value * scale[channel] + shift[channel])
      }
    }
    let weights = [("n.weight", [channels], scale), ("n.bias", [channels], shift)]
    let actual = try run([[rows, channels, 2, 3]], [x], weights: weights, on: backend) {
      try $0[0].groupNorm($1["n"], groups: groups, epsilon: 1e-5)
    }
    expectClose(actual, expected, tolerance: 2e-5)

    // With the statistics given, each row for itself.
    for row in 0..<rows {
      let part = Array(x[row * channels * places..<(row + 1) * channels * places])
      var means: [Float] = []
      var inverses: [Float] = []
      for group in 0..<groups {
        let values = part[group * size..<(group + 1) * size]
        let mean = values.reduce(0, +) / Float(size)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(size)
        means += [Float](repeating: mean, count: channels / groups)
        inverses += [Float](
          repeating: 1 / (variance + 1e-5).squareRoot(), count: channels / groups)
      }
      let each: Shape = [1, channels, 1, 1]
      let given = try run(
        [[1, channels, 2, 3], each, each], [part, means, inverses], weights: weights, on: backend
      ) { try $0[0].groupNorm($1["n"], mean: $0[1], inverseDeviation: $0[2]) }
      expectClose(
        given, Array(expected[row * part.count..<(row + 1) * part.count]), tolerance: 2e-5)
    }

    var layered: [Float] = []
    for token in 0..<rows * places {
      let part = normalized(Array(x[token * 4..<(token + 1) * 4]), epsilon: 1e-5)
      for (index, value) in part.enumerated() {
        layered.append(value * scale[index] + shift[index])
      }
    }
    let layerActual = try run([[rows, places, channels]], [x], weights: weights, on: backend) {
      try $0[0].layerNorm($1["n"])
    }
    expectClose(layerActual, layered, tolerance: 2e-5)
  }

  @Test(
    "Attention weighs the values by softmax of the products, head by head",
    arguments: TestBackend.all)
  func attention(backend: TestBackend) throws {
    let (rows, queries, keys, heads, width) = (2, 3, 5, 2, 4)
    let channels = heads * width
    let q = Self.numbers(rows * queries * channels)
    let k = Self.numbers(rows * keys * channels, seed: 2)
    let v = Self.numbers(rows * keys * channels, seed: 3)
    var expected = [Float](repeating: 0, count: q.count)
    for row in 0..<rows {
      for head in 0..<heads {
        for query in 0..<queries {
          let target = (row * queries + query) * channels + head * width
          let source = { (key: Int) -> Int in (row * keys + key) * channels + head * width }
          var shares: [Float] = []
          for key in 0..<keys {
            var product: Float = 0
            for i in 0..<width { product += q[target + i] * k[source(key) + i] }
            shares.append(exp(product / 2))
          }
          let total = shares.reduce(0, +)
          for i in 0..<width {
            for key in 0..<keys { expected[target + i] += shares[key] / total * v[source(key) + i] }
          }
        }
      }
    }
    let actual = try run(
      [[rows, queries, channels], [rows, keys, channels], [rows, keys, channels]], [q, k, v],
      on: backend
    ) { values, _ in try values[0].attention(key: values[1], value: values[2], heads: heads) }
    expectClose(actual, expected, tolerance: 1e-5)
  }

  @Test("Shaping moves elements and nothing else", arguments: TestBackend.all)
  func shaping(backend: TestBackend) throws {
    let x = (0..<24).map(Float.init)
    func floats(_ numbers: [Int]) -> [Float] { numbers.map(Float.init) }
    var turned: [Int] = []
    for k in 0..<4 { for i in 0..<2 { for j in 0..<3 { turned.append(i * 12 + j * 4 + k) } } }
    let transposed = try run([[2, 3, 4]], [x], on: backend) { values, _ in
      try values[0].transposed([2, 0, 1])
    }
    #expect(transposed == floats(turned))
    let sliced = try run([[2, 3, 4]], [x], on: backend) { values, _ in
      try values[0].sliced(axis: 1, from: 1, to: 3)
    }
    #expect(sliced == floats(Array(4..<12) + Array(16..<24)))
    let joined = try run([[2, 12], [2, 1]], [x, [100, 101]], on: backend) { values, _ in
      try Value.concatenated([values[0], values[1]], axis: 1)
    }
    #expect(joined == floats(Array(0..<12) + [100] + Array(12..<24) + [101]))
    let split = try run([[2, 12]], [x], on: backend) { values, _ in
      let parts = try values[0].split(into: 3)
      return try parts[2] + parts[0] * 1000
    }
    #expect(split == floats([8, 1009, 2010, 3011, 12020, 13021, 14022, 15023]))
  }

  @Test(
    "Enlarging repeats the nearest pixel as PyTorch does",
    arguments: [(4, 6), (5, 7), (3, 3), (2, 3)], TestBackend.all)
  func nearest(size: (Int, Int), backend: TestBackend) throws {
    let (height, width) = size
    let x = (0..<6).map(Float.init)
    var expected: [Float] = []
    for y in 0..<height {
      for column in 0..<width { expected.append(x[y * 2 / height * 3 + column * 3 / width]) }
    }
    #expect(
      try run([[1, 1, 2, 3]], [x], on: backend) { values, _ in
        try values[0].upsampledNearest(height: height, width: width)
      } == expected)
  }

  @Test("A linear resize aligns the centers of pixels", arguments: TestBackend.all)
  func linearResize(backend: TestBackend) throws {
    let actual = try run([[1, 1, 1, 2]], [[0, 4]], on: backend) { values, _ in
      try values[0].resizedLinearly(height: 1, width: 4)
    }
    expectClose(actual, [0, 1, 3, 4], tolerance: 1e-6)
  }

  @Test("Pooling takes the mean of what there is of a square", arguments: TestBackend.all)
  func averagePooling(backend: TestBackend) throws {
    let x = Self.numbers(2 * 5 * 3)
    let actual = try run([[1, 2, 5, 3]], [x], on: backend) { values, _ in
      try values[0].averagePooled()
    }
    var expected: [Float] = []
    for channel in 0..<2 {
      for rows in [0..<2, 2..<4, 4..<5] {
        for columns in [0..<2, 2..<3] {
          let seen = rows.flatMap { row in columns.map { x[(channel * 5 + row) * 3 + $0] } }
          expected.append(seen.reduce(0, +) / Float(seen.count))
        }
      }
    }
    expectClose(actual, expected, tolerance: 1e-6)
  }

  @Test("Squares of pixels become channels: channel, row, column", arguments: TestBackend.all)
  func pixelUnshuffle(backend: TestBackend) throws {
    let x = Self.numbers(2 * 4 * 6)
    let actual = try run([[1, 2, 4, 6]], [x], on: backend) { values, _ in
      try values[0].pixelUnshuffled(side: 2)
    }
    var expected: [Float] = []
    for channel in 0..<2 {
      for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for y in 0..<2 {
          let start = (channel * 4 + 2 * y + row) * 6 + column
          expected += (0..<3).map { x[start + 2 * $0] }
        }
      }
    }
    #expect(actual == expected)
  }

  @Test("A cubic resize reads four pixels a side, with a = -3/4", arguments: TestBackend.all)
  func cubicResize(backend: TestBackend) throws {
    let x = Self.numbers(8)
    let actual = try run([[1, 1, 1, 8]], [x], on: backend) { values, _ in
      try values[0].resizedCubically(height: 1, width: 4)
    }
    // At half the size each pixel lies between two.
    let expected = (0..<4).map { place -> Float in
      let seen = (-1...2).map { x[min(max(2 * place + $0, 0), 7)] }
      return (19 * (seen[1] + seen[2]) - 3 * (seen[0] + seen[3])) / 32
    }
    expectClose(actual, expected, tolerance: 1e-6)
  }

  @Test(
    "A time embedding is sinusoids of falling frequency", arguments: [true, false],
    TestBackend.all)
  func time(cosineFirst: Bool, backend: TestBackend) throws {
    let times: [Float] = [0, 1, 500, 1000]
    var expected: [Double] = []
    for time in times {
      let angles = (0..<4).map { (index: Int) -> Double in
        Double(time) * pow(10000, -Double(index) / 4)
      }
      let (sines, cosines) = (angles.map { sin($0) }, angles.map { cos($0) })
      expected += cosineFirst ? cosines + sines : sines + cosines
    }
    let actual = try run([[4]], [times], on: backend) { values, _ in
      try values[0].timeEmbedding(width: 8, cosineFirst: cosineFirst, frequencyShift: 0)
    }
    // At timestep 1000 the rounding of a frequency moves the angle by up to 3e-5.
    expectClose(actual, expected.map(Float.init), tolerance: 5e-5)
  }

  @Test(
    "Weights in half precision and in brain floats are read in place", arguments: ["F16", "BF16"],
    TestBackend.all)
  func halfWeights(type: String, backend: TestBackend) throws {
    let folder = try TemporaryFolder()
    let words: [UInt16] =
      type == "F16" ? [0x3c00, 0xc400, 0x3555, 0x0001] : [0x3f80, 0xc080, 0x3eab, 0x0080]
    let header = #"{"l.weight":{"dtype":"\#(type)","shape":[4,1],"data_offsets":[0,8]}}"#
    let path = try folder.write(
      SafetensorsWriter.file(
        header: header, data: words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }),
      as: "w.safetensors")
    let store = try WeightStore(file: path)
    let graph = Graph(name: "half")
    graph.output(try graph.input("x", shape: [1, 1]).linear(store.root["l"]), as: "y")
    let session = try Program.compiled(
      GraphModule(graph, weightsIdentity: store.identity), on: backend)
    session.withInput(0, as: Float.self) { $0[0] = 1 }
    try session.run()
    let actual = session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
    let expected = try #require(try store.weights["l.weight"]?.floats())
    expectClose(actual, expected, tolerance: 1e-7)
  }
}
