import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// Upscalers in every layout of keys against spandrel's networks.
@Suite(.tags(.engine)) struct UpscalerTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func program(_ graph: Graph, of file: UpscalerFile) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: file.weights.identity))
  }

  /// An image of the fixture: `[3, height, width]`, 0 to 255.
  private func source(_ key: String) throws -> (pixels: [Float], height: Int, width: Int) {
    let golden = try UpscalerFixture.golden()
    let shape = try golden.shape("\(key).source")
    return (try golden.floats("\(key).source"), shape[2], shape[3])
  }

  @Test(
    "The network's own numbers",
    arguments: [
      ("compact-x4", "SRVGGNetCompact"), ("compact-x2", "SRVGGNetCompact"),
      ("compact-mixed", "SRVGGNetCompact"), ("dense-x4", "RRDBNet"), ("dense-x2", "RRDBNet"),
      ("dense-named", "RRDBNet"), ("dense-numbered", "RRDBNet"), ("dense-numbered-x2", "RRDBNet"),
    ])
  func golden(name: String, className: String) async throws {
    let fixture = try #require(try UpscalerFixture.all()[name])
    let file = try fixture.file(in: folder, named: name)
    #expect(file.configuration.className == className)
    #expect(file.configuration.factor == fixture.factor)
    for index in 0..<fixture.count {
      let (pixels, height, width) = try source("\(name).\(index)")
      let graph = Graph(name: "upscaler")
      let image = graph.input("image", shape: [1, 3, height, width])
      graph.output(try file.network.upscale(image), as: "larger")
      let program = try await program(graph, of: file)
      program.write("image", ContiguousArray(pixels.map { $0 / 255 }).span)
      try program.run()
      let larger = program.read("larger", as: Float.self) { span in span.indices.map { span[$0] } }
      expectClose(
        larger, try UpscalerFixture.golden().floats("\(name).\(index).output"),
        relativeTolerance: 1e-5)
    }
  }

  @Test(
    "Pixels in and pixels out, as large as the network makes them or half of that by area",
    arguments: [4, 2])
  func pixels(factor: Int) async throws {
    let name = "compact-x4"
    let file = try #require(try UpscalerFixture.all()[name]).file(in: folder, named: name)
    let (pixels, height, width) = try source("\(name).0")
    let program = try await program(
      file.network.graph(height: height, width: width, factor: factor), of: file)
    program.withInput("source", as: UInt8.self) { span in
      for place in 0..<height * width {
        for channel in 0..<3 {
          span[3 * place + channel] = UInt8(pixels[channel * height * width + place])
        }
      }
    }
    try program.run()
    let larger = program.read("pixels", as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    let output = try UpscalerFixture.golden().floats("\(name).0.output")
    let area = 4 / factor
    var expected: [Float] = []
    for y in 0..<height * factor {
      for x in 0..<width * factor {
        for channel in 0..<3 {
          let sum = (0..<area * area).reduce(Float(0)) { sum, part in
            let row = channel * height * 4 + y * area + part / area
            return sum + min(max(output[row * width * 4 + x * area + part % area], 0), 1)
          }
          expected.append((sum / Float(area * area) * 255).rounded(.toNearestOrEven))
        }
      }
    }
    expectClose(larger, expected, tolerance: 1)
    #expect(zip(larger, expected).count { $0 != $1 } < expected.count / 100)
    #expect(program.read("sums", as: Float.self) { $0[0].isFinite })
  }

  @Test("Sums are NaN if a weight is")
  func nan() async throws {
    let fixture = try #require(try UpscalerFixture.all()["compact-x2"])
    var tensors = fixture.tensors()
    tensors[1].scalars[0] = .nan
    let path = try folder.write(SafetensorsWriter.file(tensors), as: "nan.safetensors")
    let file = try UpscalerFile(path: path)
    let program = try await program(
      file.network.graph(height: 4, width: 4, factor: 2), of: file)
    try program.run()
    #expect(program.read("sums", as: Float.self) { !$0[0].isFinite })
  }

  @Test("How far a pixel sees is counted from the layers")
  func reach() throws {
    let all = try UpscalerFixture.all()
    let reaches = try all.map { name, fixture in
      (name, try fixture.file(in: folder, named: name).configuration.reach)
    }
    let expected = [
      "compact-x4": 5, "compact-x2": 4, "compact-mixed": 4, "dense-x4": 34, "dense-x2": 38,
      "dense-named": 19, "dense-numbered": 34, "dense-numbered-x2": 19,
    ]
    #expect(Dictionary(uniqueKeysWithValues: reaches) == expected)
  }

  @Test("Operations are counted at the resolution of most layers")
  func operations() throws {
    func operations(_ bytes: [UInt8], _ name: String) throws -> Double {
      try UpscalerFile(path: folder.write(bytes, as: "\(name).safetensors"))
        .configuration.operationsPerPixel
    }
    // Of three convolutions: 3 to 4 channels, 4 to 4, 4 to 48, with biases and two PReLUs.
    let weights = 9 * (12 + 16 + 192) + 4 + 4 + 48 + 8
    #expect(try operations(TinyUpscaler.compact(), "compact") == Double(2 * weights))
    let (whole, halved) = (
      try operations(TinyUpscaler.dense(), "dense"),
      try operations(TinyUpscaler.dense(unshuffling: 2), "unshuffled")
    )
    // A quarter of the places, and a first layer of four times the channels.
    #expect(halved > whole / 4 && halved < whole)
  }
}

/// Files that are no upscaler, or not whole.
@Suite struct UpscalerFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func message(_ tensors: [UpscalerFixture.Tensor]) throws -> String {
    try message(SafetensorsWriter.file(tensors))
  }

  private func message(_ bytes: [UInt8]) throws -> String {
    let path = try folder.write(bytes, as: "x.safetensors")
    let error = #expect(throws: (any Error).self) { try UpscalerFile(path: path) }
    return "\(try #require(error))".replacing(folder.path + "/", with: "")
  }

  @Test("A pickle is refused with the remedy, an archive as the older kind")
  func pickle() throws {
    for start in [Array("PK\u{3}\u{4}".utf8), [0x80, 2, 0x8a, 10, 0x6c, 0xfc]] {
      #expect(
        try message(start + [UInt8](repeating: 1, count: 100))
          == "'x.safetensors' is a PyTorch checkpoint (pickle), not a safetensors file; convert it "
          + "to safetensors")
    }
  }

  @Test("Another network is refused with what was expected")
  func foreign() throws {
    let message = try message([
      ("decoder.layers.0.weight", [4, 4, 3, 3], [Float](repeating: 0, count: 144))
    ])
    #expect(
      message == "'x.safetensors' contains no known upscaler (1 tensors, such as "
        + "'decoder.layers.0.weight'); expected \(UpscalerFile.kinds)")
  }

  @Test(
    "Each tensor that is missing, of another shape, or that nothing reads is named",
    arguments: ["compact-x2", "dense-named", "dense-numbered-x2"])
  func tensors(name: String) throws {
    let tensors = try #require(try UpscalerFixture.all()[name]).tensors()
    for index in tensors.indices {
      var fewer = tensors
      let removed = fewer.remove(at: index)
      #expect(try !message(fewer).isEmpty, "\(removed.name)")
      var changed = tensors
      changed[index].shape[0] += 1
      changed[index].scalars += [Float](
        repeating: 0, count: changed[index].shape.dropFirst().reduce(1, *))
      #expect(try !message(changed).isEmpty, "\(removed.name)")
    }
    let last = tensors[tensors.count - 1]
    // Before the names of a file with a prefix too.
    for extra in [
      "extra.weight", "body.0.rdb1.conv1x1.weight", "model.1.sub.0.RDB1.conv1x1.weight",
    ] {
      let message = try message(tensors + [(extra, last.shape, last.scalars)])
      #expect(message.contains("has") || message.contains("contains no"), "\(message)")
    }
  }

  @Test("A layer under two names is refused")
  func twice() throws {
    let tensors = try #require(try UpscalerFixture.all()["dense-named"]).tensors()
    let trunk = try #require(tensors.first { $0.name == "trunk_conv.weight" })
    #expect(
      try message(tensors + [("conv_body.weight", trunk.shape, trunk.scalars)])
        == "'x.safetensors' has one layer under two names; choose another upscaler, or download it again"
    )
  }

  @Test("Numbers that no network has are refused at once")
  func numbers() throws {
    var tensors = try #require(try UpscalerFixture.all()["compact-x2"]).tensors()
    tensors.append(("params.body.999.bias", [12], [Float](repeating: 0, count: 12)))
    #expect(try message(tensors).contains("body.999"))
    let dense = try #require(try UpscalerFixture.all()["dense-named"]).tensors()
    let extra = ("RRDB_trunk.998.RDB1.conv1.bias", [32], [Float](repeating: 0, count: 32))
    #expect(try message(dense + [extra]).contains("has no 'body.1.rdb1.conv1.bias'"))
  }

  @Test("Only networks of the same layers are mixed, by 0 to 1")
  func mixed() throws {
    let all = try UpscalerFixture.all()
    let small = try #require(all["compact-x2"]).file(in: folder, named: "a")
    let large = try #require(all["compact-x4"]).file(in: folder, named: "b")
    let error = #expect(throws: ModelError.self) {
      try small.interpolated(with: large, fraction: 0.5)
    }
    #expect(error?.message.contains("have different layers") == true)
    #expect(throws: ModelError.self) { try small.interpolated(with: small, fraction: 1.5) }
  }
}
