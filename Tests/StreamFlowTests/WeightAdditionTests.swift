import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// LoRAs on a whole checkpoint.
@Suite(.tags(.engine)) struct WeightAdditionTests {
  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A LoRA for every large matrix of the starter's network.
  private func tensors(rank: Int, size: Float = 0.02) throws -> [Tensor] {
    var noise = GaussianNoise(seed: 3)
    func random(_ shape: [Int]) -> [Float] {
      noise.latents(shape: Shape(shape)).scalars.map { $0 * size }
    }
    return try Checkpoint.starter64().networkWeights.weights.values
      .filter { $0.shape.rank == 2 && $0.shape.dimensions.allSatisfy { $0 >= 128 } }
      .sorted { $0.name < $1.name }
      .flatMap { weight -> [Tensor] in
        let layer = weight.name.dropLast(".weight".count)
        return [
          (
            "unet.\(layer).lora_A.weight", [rank, weight.shape[1]], random([rank, weight.shape[1]])
          ),
          (
            "unet.\(layer).lora_B.weight", [weight.shape[0], rank], random([weight.shape[0], rank])
          ),
        ]
      }
  }

  private func write(_ tensors: [Tensor], as name: String) throws -> String {
    try folder.write(SafetensorsWriter.file(tensors), as: name)
  }

  private static func pixels(_ checkpoint: Checkpoint) async throws -> [UInt8] {
    var options = GeneratorOptions()
    options.rowCapacity = 1
    var request = GenerationRequest(prompt: "fox")
    request.stepCount = 2
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    let images = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
    return try #require(images.first).image.pixels
  }

  @Test("A LoRA of modules of rank 0 alone is refused as such")
  func rankZero() throws {
    let path = try write(
      [("unet.a.lora_A.weight", [0, 4], []), ("unet.a.lora_B.weight", [4, 0], [])],
      as: "empty.safetensors")
    let error = #expect(throws: ModelError.self) {
      try Checkpoint.starter64().applying(loras: [.init(path: path)])
    }
    #expect(
      error?.message
        == "'\(path)' changes nothing: each of its modules (1) has rank 0; the training that "
        + "wrote it failed, train or export it again")
  }

  @Test("The engine folds what is added: no larger than the model's own, no more operations")
  func folded() async throws {
    let tensors = try tensors(rank: 32)
    let path = try write(tensors, as: "lora.safetensors")
    let plain = try Checkpoint.starter64()
    let patched = try plain.applying(loras: [.init(path: path, scale: 0.5)])
    #expect(patched.additions.map(\.rest) == [[]])
    var operations: Set<Int> = []
    var sizes: [Int] = []
    for checkpoint in [plain, patched] {
      let cache = EngineCache(folder: "\(folder.path)/cache-\(checkpoint.additions.count)")
      let network = UNet(configuration: checkpoint.unet, weights: checkpoint.networkWeights.root)
      let graph = try network.graph(.init(rows: 1, height: 16, width: 16, tokens: 8))
      let model = GraphModule(graph, weightsIdentity: checkpoint.networkWeights.identity)
      operations.insert(model.operationCount)
      _ = try await EngineStore.fresh(cache: cache).program(for: model)
      sizes.append(try #require(cache.entries().first).byteCount)
    }
    #expect(operations.count == 1)
    let added = tensors.reduce(0) { $0 + $1.scalars.count * 4 }
    #expect(abs(sizes[1] - sizes[0]) < added / 8, "\(sizes), of which \(added) were added")
  }

  @Test("A scale of 0 changes no image, another does")
  func scale() async throws {
    let path = try write(tensors(rank: 2, size: 0.2), as: "lora.safetensors")
    let starter = try Checkpoint.starter64()
    let plain = try await Self.pixels(starter)
    let nothing = try await Self.pixels(starter.applying(loras: [.init(path: path, scale: 0)]))
    #expect(nothing == plain)
    let changed = try await Self.pixels(starter.applying(loras: [.init(path: path)]))
    #expect(changed != plain)
  }

  @Test("A folder stands for the file in it, if there is only one or diffusers' own")
  func folders() throws {
    let tensors = try Array(tensors(rank: 1).prefix(2))
    let starter = try Checkpoint.starter64()
    _ = try write(tensors, as: "lcm-lora/a.safetensors")
    let addition = WeightAddition(path: "\(folder.path)/lcm-lora")
    let patched = try starter.applying(loras: [addition])
    #expect(patched.additions[0].name == "a.safetensors")
    #expect(patched.loraNames == ["lcm-lora/a.safetensors"])
    _ = try write(tensors, as: "lcm-lora/b.safetensors")
    let error = #expect(throws: ModelError.self) { try starter.applying(loras: [addition]) }
    #expect(error?.message.contains("holds 2 .safetensors files, expected one") == true)
    _ = try write(tensors, as: "lcm-lora/pytorch_lora_weights.safetensors")
    let named = try starter.applying(loras: [addition]).additions[0].name
    #expect(named == "pytorch_lora_weights.safetensors")
  }

  @Test("A LoRA of another family is refused with what it is and what the model is")
  func strange() throws {
    let path = try write(
      [
        ("lora_unet_no_attn2_to_k.lora_down.weight", [4, 2048], .init(repeating: 0, count: 8192)),
        ("lora_unet_no_attn2_to_k.lora_up.weight", [8, 4], .init(repeating: 0, count: 32)),
      ], as: "xl.safetensors")
    let error = #expect(throws: ModelError.self) {
      try Checkpoint.starter64().applying(loras: [.init(path: path)])
    }
    #expect(
      error?.message
        == "'\(path)' changes nothing in starter: none of its 1 layers is one of the model's. It "
        + "holds LoRA of rank 4, layers: 1 in network; it is for text states of width 2048, and starter "
        + "reads 192; use a LoRA made for this model's family, or the model that it was made for")
    #expect(error?.code == .fileInvalid)
  }

  @Test("Delta weights are part of the weights that a LoRA's lengths are measured on")
  func order() throws {
    let starter = try Checkpoint.starter64()
    let delta = try write(
      [("conv_in.bias", [64], [Float](repeating: 0.1, count: 64))], as: "delta.safetensors")
    let lora = try write(Array(tensors(rank: 1).prefix(2)), as: "lora.safetensors")
    let both = try starter.applying(
      loras: [.init(path: lora)], deltas: [.init(path: delta, scale: 0.5)])
    #expect(both.additions.map(\.kind) == [.delta, .lora])
    #expect(both.networkWeights.identity.count == starter.networkWeights.identity.count + 2)
    let error = #expect(throws: ModelError.self) {
      try starter.applying(loras: [], deltas: [.init(path: lora)])
    }
    #expect(error?.message.contains("has a name of the network's") == true)
  }
}
