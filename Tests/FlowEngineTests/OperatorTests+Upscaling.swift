import FlowCore
import FlowGraph
import FlowTestSupport
import Testing

extension OperatorTests {
  @Test("Activations with slopes keep a part of what is negative", arguments: TestBackend.all)
  func slopes(backend: TestBackend) throws {
    let x = Self.numbers(2 * 3 * 4)
    let slopes: [Float] = [0.5, -2, 0]
    let each = try run(
      [[2, 3, 2, 2]], [x], weights: [("p.weight", [3], slopes)], on: backend
    ) { values, weights in try values[0].prelu(weights["p"]) }
    #expect(each == x.indices.map { x[$0] > 0 ? x[$0] : x[$0] * slopes[$0 / 4 % 3] })
    let one = try run([[24]], [x], on: backend) { values, _ in values[0].leakyRelu(0.25) }
    #expect(one == x.map { $0 > 0 ? $0 : $0 * 0.25 })
  }

  @Test(
    "Channels become pixels, as PyTorch orders them", arguments: TestBackend.all
  )
  func pixelShuffle(backend: TestBackend) throws {
    let (rows, channels, height, width, factor) = (2, 3, 2, 3, 2)
    let x = (0..<rows * channels * height * width * factor * factor).map(Float.init)
    var shuffled = x
    for index in x.indices {
      let (column, row) = (index % (width * factor), index / (width * factor) % (height * factor))
      let plane = index / (width * factor * height * factor)
      let source = (plane * factor + row % factor) * factor + column % factor
      shuffled[index] = x[(source * height + row / factor) * width + column / factor]
    }
    let small: Shape = [rows, channels * factor * factor, height, width]
    let pixels = try run([small], [x], on: backend) { values, _ in
      try values[0].pixelShuffled(by: factor)
    }
    #expect(pixels == shuffled)
  }
}
