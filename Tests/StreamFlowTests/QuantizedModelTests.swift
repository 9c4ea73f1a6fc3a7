import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlow

/// Whole models in 8 bits.
@Suite struct QuantizedModelTests {
  private static let prompts = [
    "grinning face on a blue background", "red apple on a white background", "dog face",
    "pizza on a green background",
  ]

  private static func pictures(
    _ checkpoint: Checkpoint, rowCapacity: Int, width: Int? = nil
  ) async throws -> [PixelImage] {
    var options = GeneratorOptions()
    (options.rowCapacity, options.width) = (rowCapacity, width)
    let generator = try Generator(checkpoint: checkpoint, options: options)
    let requests = prompts.enumerated().map { index, prompt in
      var request = checkpoint.request(prompt)
      request.seed = UInt64(index)
      return request
    }
    return try await generator.images(for: requests).reduce(into: []) { $0.append($1) }
      .sorted { $0.index < $1.index }.map(\.image)
  }

  /// Peak signal to noise in decibels.
  private static func ratio(_ left: PixelImage, _ right: PixelImage) -> Double {
    let error = zip(left.pixels, right.pixels).reduce(0.0) {
      $0 + pow(Double($1.0) - Double($1.1), 2)
    }
    return 10 * log10(255 * 255 / max(error / Double(left.pixels.count), 1e-9))
  }

  @Test("The starter's pictures in 8 bits are nearly those in 32, at its own size and another")
  func starter() async throws {
    let plain = try Checkpoint.starter()
    let quantized = try plain.quantized()
    for width in [nil, 96] {
      let expected = try await Self.pictures(plain, rowCapacity: 8, width: width)
      let actual = try await Self.pictures(quantized, rowCapacity: 8, width: width)
      let ratios = zip(expected, actual).map(Self.ratio)
      // The bar is 30 on average; these are 40 to 47 where the scales were measured.
      #expect(ratios.allSatisfy { $0 > 33 }, "\(ratios)")
      #expect(zip(expected, actual).contains { $0.pixels != $1.pixels })
    }
  }

  @Test("What is in flight together in 8 bits comes out as it would alone")
  func together() async throws {
    let quantized = try Checkpoint.starter().quantized()
    let together = try await Self.pictures(quantized, rowCapacity: 8)
    let alone = try await Self.pictures(quantized, rowCapacity: 2)
    for (left, right) in zip(together, alone) {
      // An input that lies on the edge between two numbers may round either way in engines of
      // different row counts.
      #expect(Self.ratio(left, right) > 45)
    }
  }

  @Test("Most operations are done in 8 bits, and the first and last layers are not")
  func layers() throws {
    let quantization = try #require(try Checkpoint.starter().quantized().unetWeights.quantization)
    #expect(quantization.layers.count > 70)
    #expect(quantization.layers["conv_in"] == nil && quantization.layers["conv_out"] == nil)
    #expect(quantization.layers.keys.allSatisfy { !$0.contains("time_emb") })
    #expect(quantization.layers.keys.allSatisfy { !$0.hasSuffix("attn2.to_k") })
    let weights = try Checkpoint.starter().unetWeights
    for (name, layer) in quantization.layers {
      #expect(layer.weightScales.count == (try weights.root[name].shape(of: "weight")[0]))
    }
  }

  @Test("Measured anew with two prompts, scales are kept, found and used")
  func measured() async throws {
    let plain = try Checkpoint.starter()
    var options = QuantizationOptions()
    (options.prompts, options.stepCount, options.floatShare) = (["dog", "red car"], 4, 0)
    var told: [String] = []
    let report = try Quantizer(plain, options: options) { told.append($0) }.run()
    #expect(report.parts.map(\.name) == ["unet", "vae decoder", "vae encoder"])
    #expect(report.parts.allSatisfy { $0.signalToNoise > 30 && $0.operationShare > 0.9 })
    #expect(report.evaluationCount == 8 && told.contains("watching picture 2 of 2"))
    let folder = try TemporaryFolder()
    let path = try folder.write(report.file, as: QuantizationFile.name)
    #expect(try QuantizationFile(path: path).serialized() == report.file)
    for place in [path, folder.path] {
      let quantized = try plain.quantized(from: place)
      #expect(quantized.unetWeights.identity.count == plain.unetWeights.identity.count + 1)
      #expect(quantized.autoencoderWeights.quantization != nil)
    }
  }

  @Test("The layers that are felt most stay in floats, within their share, and it helps")
  func share() throws {
    let plain = try Checkpoint.starter()
    let weights = plain.autoencoderWeights
    let autoencoder = Autoencoder(configuration: plain.autoencoder, weights: weights.root)
    let graph = try autoencoder.decoderGraph(rows: 1, height: 4, width: 4)
    let layers = autoencoder.quantizableLayers(of: graph)
    #expect(!layers.contains("decoder.layers.0") && layers.contains("decoder.layers.2.conv.0"))
    let run = try CalibrationRun(
      graph, layers: layers, elementCount: 512, weightsIdentity: weights.identity,
      configuration: EngineConfiguration())
    var noise = GaussianNoise(seed: 4)
    let sample = noise.latents(shape: [4, 4, 4])
    run.write(sample.scalars, input: 0)
    try run.run()
    let expected = [run.elements(output: 0, as: UInt8.self).map(Float.init)]
    let quantization = try run.quantization(of: weights.root, by: .extremes)
    #expect(Set(quantization.layers.keys) == layers)
    func outcome(_ share: Double) throws -> Trial.Outcome {
      var operations: [String: Int] = [:]
      for layer in graph.layers where layers.contains(layer.name) {
        operations[layer.name, default: 0] += layer.operationCount
      }
      return try Trial(
        name: "decoder", weights: weights, operations: operations,
        totalOperations: graph.operationCount, configuration: EngineConfiguration(),
        isLarge: false, floatShare: share, progress: { _ in }
      ) { weights in
        try Autoencoder(configuration: plain.autoencoder, weights: weights.root)
          .decoderGraph(rows: 1, height: 4, width: 4)
      } evaluate: { session in
        session.write(sample.scalars.span, input: 0)
        try session.run()
        return [
          session.read(output: 0, as: UInt8.self) { span in span.indices.map { Float(span[$0]) } }
        ]
      }.choose(of: quantization, expected: expected)
    }
    let (all, some) = (try outcome(0), try outcome(0.3))
    #expect(all.report.keptLayers.isEmpty && all.report.layerCount == layers.count)
    #expect(!some.report.keptLayers.isEmpty)
    #expect(
      some.report.operationShare > 0.65 && some.report.operationShare < all.report.operationShare)
    #expect(some.report.signalToNoise > all.report.signalToNoise)
    #expect(some.quantization.layers.keys.allSatisfy { !some.report.keptLayers.contains($0) })
  }

  // MARK: - Refusals

  private static func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "nothing was refused"
    } catch { return "\(error)" }
  }

  @Test("No scales, other weights' scales and damaged scales are told with the remedy")
  func refusals() throws {
    let plain = try Checkpoint.starter()
    let folder = try TemporaryFolder()
    let absent = Self.message { _ = try plain.quantized(from: folder.path) }
    #expect(absent.contains("none at '\(folder.path)/streamflow-int8.json'"), "\(absent)")
    #expect(absent.contains("streamflow quantize"))
    var file = try QuantizationFile(path: plain.quantizationPath)
    func refusal(of bytes: [UInt8]) throws -> String {
      let path = try folder.write(bytes, as: "scales.json")
      return Self.message { _ = try plain.quantized(from: path) }
    }
    file.parts["vae"]?.fingerprint = "0"
    #expect(try refusal(of: file.serialized()).contains("another vae than starter's"))
    file.parts["unet"]?.fingerprint = "1"
    #expect(try refusal(of: file.serialized()).contains("another unet than starter's"))
    file.parts["unet"] = nil
    #expect(try refusal(of: file.serialized()).contains("has no scales of unet"))
    file = try QuantizationFile(path: plain.quantizationPath)
    file.version = 2
    #expect(try refusal(of: file.serialized()).contains("version 2, expected 1"))
    file.version = 1
    file.parts["unet"]?.layers["mid_block.resnets.0.conv1"]?.scale = 0
    #expect(try refusal(of: file.serialized()).contains("mid_block.resnets.0.conv1"))
    #expect(try refusal(of: Array("{}".utf8)).contains("does not hold 8-bit scales"))
    let whole = try file.serialized()
    for count in stride(from: 0, to: whole.count, by: whole.count / 7) {
      #expect(try refusal(of: Array(whole.prefix(count))).contains("does not hold 8-bit scales"))
    }
  }

  @Test("A changed model has no scales, and none are measured for it")
  func additions() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      SafetensorsWriter.file([("conv_in.bias", [64], [Float](repeating: 0.1, count: 64))]),
      as: "delta.safetensors")
    let changed = try Checkpoint.starter().applying(loras: [], deltas: [.init(path: path)])
    #expect(Self.message { _ = try changed.quantized() }.contains("delta"))
    #expect(Self.message { _ = try Quantizer(changed) }.contains("delta"))
    var options = QuantizationOptions()
    options.prompts = []
    #expect(
      Self.message { _ = try Quantizer(.starter(), options: options) }.contains("0 prompts"))
    (options.prompts, options.width) = (["dog"], 65)
    #expect(Self.message { _ = try Quantizer(.starter(), options: options) }.contains("65"))
  }
}
