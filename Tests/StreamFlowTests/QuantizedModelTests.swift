import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Whole models in 8 bits.
@Suite(.tags(.engine)) struct QuantizedModelTests {
  private static let prompts = [
    "grinning face on a blue background", "red apple on a white background", "dog face",
    "pizza on a green background",
  ]

  private static func pictures(
    _ checkpoint: Checkpoint, rowCapacity: Int, width: Int? = nil
  ) async throws -> [PixelImage] {
    var options = GeneratorOptions()
    (options.rowCapacity, options.width) = (rowCapacity, width)
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
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

  @Test("The starter's images in 8 bits are nearly those in 32, at its own size and another")
  func starter() async throws {
    let plain = try Checkpoint.starter64()
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

  @Test("Images in flight together in int8 are the same as alone")
  func together() async throws {
    let quantized = try Checkpoint.starter64().quantized()
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
    let quantization = try #require(
      try Checkpoint.starter64().quantized().networkWeights.quantization)
    #expect(quantization.layers.count > 70)
    #expect(quantization.layers["conv_in"] == nil && quantization.layers["conv_out"] == nil)
    #expect(quantization.layers.keys.allSatisfy { !$0.contains("time_emb") })
    #expect(quantization.layers.keys.allSatisfy { !$0.hasSuffix("attn2.to_k") })
    let weights = try Checkpoint.starter64().networkWeights
    for (name, layer) in quantization.layers {
      #expect(layer.weightScales.count == (try weights.root[name].shape(of: "weight")[0]))
    }
  }

  @Test("Scales measured with two prompts are written, found and used")
  func measured() async throws {
    let plain = try Checkpoint.starter64()
    var options = QuantizationOptions()
    (options.prompts, options.stepCount, options.floatShare) = (["dog", "red car"], 4, 0)
    var progress: [QuantizationProgress] = []
    let report = try await Quantizer(plain, options: options, engines: .ofTests) {
      progress.append($0)
    }.run()
    #expect(report.parts.map(\.name) == ["unet", "vae decoder", "vae encoder"])
    #expect(report.parts.allSatisfy { $0.signalToNoise > 30 && $0.operationShare > 0.9 })
    #expect(report.evaluationCount == 8)
    #expect(progress.contains { $0.step == "observing image 2 of 2" })
    #expect(zip(progress, progress.dropFirst()).allSatisfy { $0.fraction <= $1.fraction })
    #expect(abs((progress.last?.fraction ?? 0) - 1) < 0.01)
    let folder = try TemporaryFolder()
    let path = try folder.write(report.file, as: QuantizationFile.name)
    #expect(try QuantizationFile(path: path).serialized() == report.file)
    for place in [path, folder.path] {
      let quantized = try plain.quantized(from: place)
      #expect(quantized.networkWeights.identity.count == plain.networkWeights.identity.count + 1)
      #expect(quantized.autoencoderWeights.quantization != nil)
    }
  }

  @Test(
    "Prompts of any length are observed by networks that mask padding",
    arguments: ["zimage", "dreamlite"])
  func padded(name: String) async throws {
    let checkpoint = try Checkpoint(folder: "\(TransformerPipelineTests.folder)/\(name)")
    var options = QuantizationOptions()
    (options.stepCount, options.floatShare) = (1, 0)
    (options.width, options.height) = (32, 32)
    // Of different numbers of chunks.
    options.prompts = [1, 8, 20].map { count in
      [String](repeating: "a fox,", count: count).joined(separator: " ")
    }
    let report = try await Quantizer(checkpoint, options: options, engines: .ofTests).run()
    #expect(report.evaluationCount >= 3)
    #expect(report.parts.allSatisfy { $0.signalToNoise > 20 })
  }

  @Test("A cancelled quantization continues where it was, and gives the same scales")
  func resumed() async throws {
    let plain = try Checkpoint(folder: PipelineTests.folder("sd"))
    let folder = try TemporaryFolder()
    var options = QuantizationOptions()
    (options.prompts, options.stepCount, options.floatShare) = (["dog", "car"], 1, 0)
    let whole = try await Quantizer(plain, options: options, engines: .ofTests).run()
    options.statePath = "\(folder.path)/state"
    let cancelledSteps = ["observing image 2 of 2", "observing the encoder, 2 of 2"]
    for step in cancelledSteps {
      let cancelling = options
      let task = Task {
        try await Quantizer(plain, options: cancelling, engines: .ofTests) { progress in
          if progress.step == step { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
        }.run()
      }
      await #expect(throws: CancellationError.self) { _ = try await task.value }
    }
    var steps: Set<String> = []
    let quantizer = try Quantizer(plain, options: options, engines: .ofTests) {
      steps.insert($0.step)
    }
    let report = try await quantizer.run()
    #expect(report.file == whole.file)
    #expect(steps.allSatisfy { !$0.contains("image") && !$0.contains("decoder") }, "\(steps)")
    quantizer.removeState()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test("A state of other options is not used")
  func otherState() async throws {
    let folder = try TemporaryFolder()
    let journal = QuantizationJournal(path: "\(folder.path)/state", key: "a")
    journal.state.observations.imageCount = 2
    journal.state.images = [.bytes([1, 2]), .floats([0.5, .infinity])]
    try journal.save()
    let same = QuantizationJournal(path: "\(folder.path)/state", key: "a").state
    #expect(same.observations.imageCount == 2 && same.images == journal.state.images)
    let other = QuantizationJournal(path: "\(folder.path)/state", key: "b").state
    #expect(other.observations.imageCount == 0)
    _ = try folder.write([1, 2, 3], as: "state")
    let damaged = QuantizationJournal(path: "\(folder.path)/state", key: "a").state
    #expect(damaged.observations.imageCount == 0)
  }

  // MARK: - Sensitivity

  /// The starter's decoder at 4x4 latent pixels, observed once.
  private struct Decoder {
    let checkpoint: Checkpoint
    let graph: (WeightStore) throws -> Graph
    let layers: LayerChoice
    let quantization: Quantization
    let probe: Trial.Probe

    init() async throws {
      let checkpoint = try Checkpoint.starter64()
      self.checkpoint = checkpoint
      let weights = checkpoint.autoencoderWeights
      graph = { weights in
        try Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
          .decoderGraph(rows: 1, height: 4, width: 4)
      }
      let graph = try graph(weights)
      let names = Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
        .quantizableLayers(of: graph)
      #expect(!names.contains("decoder.layers.0") && names.contains("decoder.layers.2.conv.0"))
      layers = LayerChoice(names, of: graph, trialOperationCount: graph.operationCount)
      let run = try await CalibrationRun(
        graph, layers: names, elementCount: 512, weightsIdentity: weights.identity,
        engines: .ofTests)
      var noise = GaussianNoise(seed: 4)
      let inputs = [CalibrationInput.floats(noise.latents(shape: [4, 4, 4]).scalars)]
      try run.run(inputs)
      probe = Trial.Probe(inputs: inputs, output: run.floats("pixels"))
      quantization = try run.quantization(of: weights.root, by: .extremes)
      #expect(Set(quantization.layers.keys) == names)
    }

    func trial(floatShare: Double) -> Trial {
      Trial(
        name: "decoder", weights: checkpoint.autoencoderWeights, layers: layers,
        engines: .ofTests, floatShare: floatShare, output: "pixels",
        work: QuantizationWork(operationCount: 1) { _ in }, graph: graph, smallGraph: graph,
        small: { $0 })
    }
  }

  @Test("The noise of a layer is that of an engine in which it alone computes in 8 bits")
  func sensitivity() async throws {
    let decoder = try await Decoder()
    let study = LayerSensitivity(
      name: "decoder", quantization: decoder.quantization,
      weights: decoder.checkpoint.autoencoderWeights, engines: .ofTests,
      probes: [decoder.probe.inputs], output: "pixels",
      work: QuantizationWork(operationCount: 1) { _ in }, graph: decoder.graph)
    let groups = try await study.measured(decoder.layers.groups)
    #expect(groups.count > 10)
    for group in groups {
      let alone = decoder.checkpoint.autoencoderWeights.quantized(
        by: decoder.quantization.keeping(group.layers.contains))
      let model = GraphModule(try decoder.graph(alone), weightsIdentity: alone.identity)
      let session = try await Program.shared(model)
      try session.run(decoder.probe.inputs)
      let noise = LayerSensitivity.noise(
        session.floats("pixels"), expected: decoder.probe.output)
      // Pixels are whole numbers: a few may round the other way.
      #expect(
        abs(noise - group.noise) <= 0.1 * noise + 2e-7, "\(group.layers): \(noise) \(group.noise)")
    }
  }

  @Test("The most sensitive layers stay in float32, within their share, and it helps")
  func share() async throws {
    let decoder = try await Decoder()
    func outcome(_ share: Double) async throws -> Trial.Outcome {
      try await decoder.trial(floatShare: share).choose(
        of: decoder.quantization, probes: [decoder.probe])
    }
    let (all, some) = (try await outcome(0), try await outcome(0.3))
    #expect(all.report.keptLayers.isEmpty)
    #expect(all.report.layerCount == decoder.layers.operations.count)
    #expect(!some.report.keptLayers.isEmpty)
    #expect(
      some.report.operationShare > 0.65 && some.report.operationShare < all.report.operationShare)
    #expect(some.report.signalToNoise > all.report.signalToNoise)
    #expect(some.quantization.layers.keys.allSatisfy { !some.report.keptLayers.contains($0) })
  }

  @Test("Blocks of a network are named up to the second number")
  func blocks() {
    let names = [
      "down_blocks.0.resnets.1.conv1": "down_blocks.0.resnets.1",
      "mid_block.attentions.0.transformer_blocks.0.attn1.to_q":
        "mid_block.attentions.0.transformer_blocks.0",
      "mid_block.resnets.1.conv2": "mid_block.resnets.1.conv2",
      "decoder.up_blocks.2.resnets.1.conv1": "decoder.up_blocks.2.resnets.1",
    ]
    for (layer, block) in names { #expect(LayerChoice.block(of: layer) == block) }
  }

  @Test("Inputs are cropped to their middle")
  func crops() {
    let floats = CalibrationInput.floats((0..<24).map(Float.init))
    #expect(floats.cropped([2, 3, 4], side: 2) == .floats([1, 2, 5, 6, 13, 14, 17, 18]))
    #expect(floats.cropped([2, 3, 4], side: 8) == floats)
    let bytes = CalibrationInput.bytes((0..<24).map(UInt8.init))
    #expect(bytes.cropped([2, 4, 3], side: 2) == .bytes(Array(3..<9) + Array(15..<21)))
  }

  // MARK: - Adapters

  /// A LoRA of rank 2 with constant factors, for the shapes that layers have.
  private static func lora(
    _ layers: [(name: String, inputs: [Int], outputs: Int)], strength: Float
  ) -> [UInt8] {
    var noise = GaussianNoise(seed: 9)
    return SafetensorsWriter.file(
      layers.flatMap { layer in
        let down = [2] + layer.inputs
        let up = [layer.outputs, 2] + [Int](repeating: 1, count: layer.inputs.count - 1)
        func scalars(_ shape: [Int]) -> [Float] {
          noise.latents(shape: Shape(shape)).scalars.map { strength * $0 }
        }
        return [
          ("\(layer.name).lora_A.weight", down, scalars(down)),
          ("\(layer.name).lora_B.weight", up, scalars(up)),
        ]
      })
  }

  @Test("Adapters of the network and of the text encoder work in int8", arguments: [false, true])
  func adapters(ofText isOfText: Bool) async throws {
    let plain = try Checkpoint.starter64()
    let store = plain.weights(of: isOfText ? .textEncoder(0) : .network)
    let suffixes = isOfText ? ["q_proj", "fc1"] : ["attn1.to_q", "ff.net.2", "resnets.0.conv1"]
    let layers = try store.weights.keys.sorted().compactMap { name -> (String, [Int], Int)? in
      let layer = name.replacing(".weight", with: "")
      guard name.hasSuffix(".weight"), suffixes.contains(where: layer.hasSuffix) else { return nil }
      let shape = try store.root[layer].shape(of: "weight").dimensions
      let prefix = isOfText ? "text_encoder.text_model" : "unet"
      return ("\(prefix).\(layer)", Array(shape.dropFirst()), shape[0])
    }
    #expect(layers.count > 3)
    let folder = try TemporaryFolder()
    let path = try folder.write(Self.lora(layers, strength: 0.12), as: "lora.safetensors")
    let changed = try plain.applying(loras: [.init(path: path)])
    #expect(changed.additions[0].rest.isEmpty, "\(changed.additions[0].rest.prefix(3))")
    let before = try await Self.pictures(plain.quantized(), rowCapacity: 8)
    let expected = try await Self.pictures(changed, rowCapacity: 8)
    // In either order: neither is dropped by the other.
    for model in [
      try changed.quantized(), try plain.quantized().applying(loras: [.init(path: path)]),
    ] {
      #expect(model.networkWeights.quantization != nil)
      let actual = try await Self.pictures(model, rowCapacity: 8)
      for index in expected.indices {
        let ratio = Self.ratio(expected[index], actual[index])
        #expect(ratio > 30 && ratio > Self.ratio(expected[index], before[index]) + 3, "\(ratio)")
      }
    }
  }

  // MARK: - Refusals

  private static func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "nothing was refused"
    } catch { return "\(error)" }
  }

  @Test("No scales, other weights' scales and damaged scales are reported with the remedy")
  func refusals() throws {
    let plain = try Checkpoint.starter64()
    let folder = try TemporaryFolder()
    let absent = Self.message { _ = try plain.quantized(from: folder.path) }
    #expect(absent.contains("none at '\(folder.path)/streamflow-int8.json'"), "\(absent)")
    #expect(absent.contains("quantize the model"))
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

  @Test("A model with delta weights has no scales, and none are measured for it")
  func additions() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      SafetensorsWriter.file([("conv_in.bias", [64], [Float](repeating: 0.1, count: 64))]),
      as: "delta.safetensors")
    let changed = try Checkpoint.starter64().applying(loras: [], deltas: [.init(path: path)])
    #expect(Self.message { _ = try changed.quantized() }.contains("delta"))
    #expect(Self.message { _ = try Quantizer(changed) }.contains("delta"))
    var options = QuantizationOptions()
    options.prompts = []
    #expect(
      Self.message { _ = try Quantizer(.starter64(), options: options) }.contains("0 prompts"))
    (options.prompts, options.width) = (["dog"], 65)
    #expect(Self.message { _ = try Quantizer(.starter64(), options: options) }.contains("65"))
  }
}
