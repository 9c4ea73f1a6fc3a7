import FlowCore
import FlowGraph
import FlowTestSupport
import Testing

/// Ranges, scales and fingerprints, by themselves.
@Suite struct QuantizationTests {
  private static func range(
    of elements: [Float], by choice: TensorRange.Choice
  ) -> AffineRange? {
    var seen = TensorRange()
    for start in stride(from: 0, to: elements.count, by: 1000) {
      let run = Array(elements[start..<min(start + 1000, elements.count)])
      seen.add(minimum: run.min() ?? 0, maximum: run.max() ?? 0, sample: run.span)
    }
    return seen.range(by: choice)
  }

  private static let normal: [Float] = {
    var noise = GaussianNoise(seed: 5)
    return noise.latents(shape: [20_000]).scalars
  }()

  @Test("Zero is exact in every range, also in one that does not reach it")
  func zero() {
    for bounds in [-1.0...3.0, 0.5...2, -4 ... -1, 0...0] as [ClosedRange<Float>] {
      let range = AffineRange(bounds)
      #expect(range.nearest(to: 0) == 0 && range.scale > 0, "\(bounds)")
      #expect(abs(range.nearest(to: bounds.upperBound) - bounds.upperBound) <= range.scale)
      #expect(abs(range.nearest(to: bounds.lowerBound) - bounds.lowerBound) <= range.scale)
    }
    #expect(AffineRange(0...0).scale == 1)
  }

  @Test("Extremes reach as far as what was seen; a few outliers do not stretch a percentile")
  func choices() throws {
    let elements = Self.normal + [80, -40]
    let extremes = try #require(Self.range(of: elements, by: .extremes))
    #expect(abs(extremes.scale - 120 / 255) < 1e-4 && extremes.zeroPoint == 85)
    let percentile = try #require(Self.range(of: elements, by: .percentile))
    #expect(percentile.scale < 10 / 255.0)
  }

  @Test("Of the shares of what was seen, the one with the least squared error is chosen")
  func least() throws {
    // Many small and a few large: a little is cut off, for finer steps.
    let elements = [[Float]](repeating: Self.normal, count: 10).flatMap(\.self) + [6, -6]
    let extremes = try #require(Self.range(of: elements, by: .extremes))
    let chosen = try #require(Self.range(of: elements, by: .error))
    func error(_ range: AffineRange) -> Double {
      elements.reduce(0) { sum, element in
        let error = Double(element - range.nearest(to: element))
        return sum + error * error
      }
    }
    #expect(error(chosen) < error(extremes) && chosen.scale < extremes.scale)
    // All alike at the ends: nothing is cut off.
    let flat = (0..<4000).map { Float($0 % 2) * 2 - 1 }
    #expect(Self.range(of: flat, by: .error) == AffineRange(-1...1))
  }

  @Test("A tensor that was not observed, or is NaN or infinite, has no range")
  func absent() {
    #expect(TensorRange().range(by: .error) == nil)
    #expect(Self.range(of: [1, .infinity], by: .extremes) == nil)
    #expect(
      Self.range(of: [1, .nan], by: .error) == nil && Self.range(of: [.nan], by: .error) == nil)
  }

  @Test("A fingerprint is of names, shapes and bytes, not of locations")
  func fingerprints() throws {
    let folder = try TemporaryFolder()
    func fingerprint(_ name: String, _ tensors: [(String, [Int], [Float])]) throws -> String {
      try WeightStore(
        file: folder.write(
          SafetensorsWriter.file(tensors.map { (name: $0.0, shape: $0.1, scalars: $0.2) }),
          as: name)
      ).fingerprint
    }
    let base: [(String, [Int], [Float])] = [("a", [2, 2], [1, 2, 3, 4]), ("b", [1], [5])]
    let first = try fingerprint("1", base)
    #expect(try fingerprint("2", base.reversed()) == first)
    #expect(try fingerprint("3", [("a", [4], [1, 2, 3, 4]), base[1]]) != first)
    #expect(try fingerprint("4", [("c", [2, 2], [1, 2, 3, 4]), base[1]]) != first)
    #expect(try fingerprint("5", [("a", [2, 2], [1, 2, 3, 4.5]), base[1]]) != first)
  }

  @Test("Scales that do not fit a layer are refused by its name")
  func misfits() throws {
    let folder = try TemporaryFolder()
    let store = try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([("c.weight", [2, 1, 1, 1], [1, 2])]), as: "w.safetensors")
    ).quantized(
      by: Quantization(layers: [
        "c": .init(input: AffineRange(0...1), weightScales: [0.1])
      ]))
    let input = Graph(name: "g").input("x", shape: [1, 1, 2, 2])
    #expect {
      _ = try input.convolution(store.root["c"])
    } throws: { "\($0)".contains("c: 1 scales for 2 outputs; quantize again") }
  }

  @Test("A weight that is NaN or infinite is reported before it is rounded")
  func notFinite() throws {
    let folder = try TemporaryFolder()
    let store = try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([
          ("c.weight", [2, 2], [1, 2, .nan, 0]), ("n.weight", [2], [1, 2]),
        ]),
        as: "w.safetensors"))
    #expect { _ = try store.root["c"].weightScales() } throws: { "\($0)".contains("output 1") }
    #expect(throws: GraphError.self) { _ = try store.root["n"].weightScales() }
    #expect { _ = try store.root["x"].weightScales() } throws: { "\($0)".contains("x.weight") }
  }
}
