import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// LoRAs in every format on tiny models, against diffusers and PEFT where they load the format,
/// and against the arithmetic in PyTorch where they do not (`Scripts/fixtures/loras.py`).
@Suite(.tags(.engine)) struct LoRATests {
  private static func path(_ name: String) -> String {
    Bundle.module.fixture("loras/\(name).safetensors")
  }

  private static func stores() throws -> [LoRA.Component: WeightStore] {
    [
      .network: try WeightStore(
        folder: Bundle.module.fixture("unet-sd15"), stem: "diffusion_pytorch_model"),
      .textEncoder(0): try WeightStore(
        folder: Bundle.module.fixture("text-quick_gelu"), stem: "model"
      ).withoutTextModelPrefix(),
    ]
  }

  private static func names(
    _ stores: [LoRA.Component: WeightStore]
  ) -> [LoRA.Component: LayerNames] {
    var names = stores.mapValues { LayerNames($0) }
    names[.network] = stores[.network].map { store in
      LayerNames(store) { OriginalNames.unet($0, layersPerBlock: 1) }
    }
    return names
  }

  private static func apply(
    _ files: [(name: String, scale: Float)]
  ) throws -> (stores: [LoRA.Component: WeightStore], reports: [AppliedWeights]) {
    var stores = try stores()
    let names = names(stores)
    var reports: [AppliedWeights] = []
    for file in files {
      let lora = try LoRA(path: path(file.name))
      reports.append(try lora.apply(scale: file.scale, to: &stores, names: names))
    }
    return (stores, reports)
  }

  private static func output(_ store: WeightStore) async throws -> [Float] {
    let network = UNet(
      configuration: try UNetConfiguration(
        ConfigurationFile(path: Bundle.module.fixture("unet-sd15/config.json"))),
      weights: store.root)
    let golden = try Golden("unet-sd15/golden.safetensors", in: .module)
    let model = GraphModule(
      try network.graph(.init(rows: 2, height: 8, width: 8, tokens: 5)),
      weightsIdentity: store.identity)
    let session = try await Program.shared(model)
    for (index, name) in ["sample", "timestep", "conditioning"].enumerated() {
      let scalars = try golden.floats("0.\(name)")
      session.withInput(index, as: Float.self) {
        for place in $0.indices { $0[place] = scalars[place] }
      }
    }
    try session.run()
    return session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  private static func hidden(_ store: WeightStore) async throws -> [Float] {
    let file = try ConfigurationFile(path: Bundle.module.fixture("text-quick_gelu/config.json"))
    let encoder = CLIPText(
      configuration: try CLIPTextConfiguration(file, weights: store), weights: store.root)
    let golden = try Golden("text-quick_gelu/golden.safetensors", in: .module)
    let model = GraphModule(try encoder.graph(rows: 2), weightsIdentity: store.identity)
    let session = try await Program.shared(model)
    for (index, name) in ["tokens", "end"].enumerated() {
      let numbers = try golden.floats(name)
      session.withInput(index, as: Int64.self) {
        for place in $0.indices { $0[place] = Int64(numbers[place]) }
      }
    }
    try session.run()
    return session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  /// Both sides compute in float32 and sum in different orders; about 1e-6 is observed.
  private static func expectGolden(
    _ name: String, _ stores: [LoRA.Component: WeightStore],
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let golden = try Golden("loras/golden.safetensors", in: .module)
    let network = try #require(stores[.network])
    expectClose(
      try await output(network), try golden.floats("\(name).output"), relativeTolerance: 1e-4,
      sourceLocation: sourceLocation)
    guard golden.names.contains("\(name).hidden") else { return }
    let encoder = try #require(stores[.textEncoder(0)])
    expectClose(
      try await hidden(encoder), try golden.floats("\(name).hidden"), relativeTolerance: 1e-4,
      sourceLocation: sourceLocation)
  }

  @Test(
    "Every format comes to what its own library makes of it",
    arguments: [
      "kohya", "sgm", "peft", "rslora", "dora", "raw", "processors", "oldest", "loha",
      "loha-tucker", "lokr", "lokr-tucker", "locon-mid",
    ])
  func formats(name: String) async throws {
    let (stores, reports) = try Self.apply([(name, 1)])
    #expect(reports[0].rest.isEmpty, "\(reports[0].rest)")
    #expect(reports[0].appliedCount == reports[0].tensorCount)
    try await Self.expectGolden(name, stores)
    let golden = try Golden("loras/golden.safetensors", in: .module)
    let plain = try Golden("unet-sd15/golden.safetensors", in: .module).floats("0.output")
    #expect(try golden.floats("\(name).output") != plain)
  }

  @Test("Half of a LoRA with lengths is half of its change")
  func halfMagnitude() async throws {
    try await Self.expectGolden("dora-half", Self.apply([("dora-half", 0.5)]).stores)
  }

  @Test("Two at once add up, each with its scale, in either order")
  func pair() async throws {
    let files: [(name: String, scale: Float)] = [("kohya", 0.75), ("peft", -0.5)]
    try await Self.expectGolden("pair", Self.apply(files).stores)
    try await Self.expectGolden("pair", Self.apply(files.reversed()).stores)
  }

  @Test("Whole differences apply to weights and biases; what is not understood is named")
  func difference() async throws {
    let (stores, reports) = try Self.apply([("diff", 1)])
    try await Self.expectGolden("diff", stores)
    #expect(reports[0].appliedCount == 4)
    #expect(
      reports[0].rest == [
        "lora_unet_conv_in.oft_blocks",
        "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
        "lora_unet_nowhere.lora_down.weight", "lora_unet_nowhere.lora_up.weight",
      ])
  }

  @Test("Delta weights are added under the network's own names")
  func delta() async throws {
    var stores = try Self.stores()
    var network = try #require(stores[.network])
    let report = try DeltaWeights(path: Self.path("delta")).apply(scale: 0.7, to: &network)
    #expect(report.rest == ["no_such.weight"] && report.appliedCount == report.tensorCount - 1)
    #expect(network.identity.count == 2 && network.identity[1].hasSuffix("* 0.7"))
    stores[.network] = network
    try await Self.expectGolden("delta", stores)
  }

  @Test("Weights that are changed are other weights: files and scales are in their identity")
  func identity() throws {
    let plain = try Self.stores()
    let one = try Self.apply([("kohya", 1)]).stores
    let half = try Self.apply([("kohya", 0.5)]).stores
    #expect(one[.network]?.identity != plain[.network]?.identity)
    #expect(one[.network]?.identity != half[.network]?.identity)
    let twice = try Self.apply([("sgm", 1), ("sgm", 1)]).stores
    #expect(twice[.textEncoder(0)]?.identity == plain[.textEncoder(0)]?.identity)
    #expect(twice[.network]?.identity.count == 3)
  }

  @Test("A change that does not fit is refused with both shapes")
  func mismatch() throws {
    let folder = try TemporaryFolder()
    let key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    let path = try folder.write(
      SafetensorsWriter.file([
        ("\(key).lora_down.weight", [2, 24], [Float](repeating: 1, count: 48)),
        ("\(key).lora_up.weight", [16, 2], [Float](repeating: 1, count: 32)),
      ]), as: "other.safetensors")
    var stores = try Self.stores()
    let names = Self.names(stores)
    let error = #expect(throws: GraphError.self) {
      try LoRA(path: path).apply(scale: 1, to: &stores, names: names)
    }
    #expect(
      error?.message
        == "'\(path)': '\(key).lora_up.weight' [16, 2], '\(key).lora_down.weight' [2, 24] does not "
        + "fit 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight', which is "
        + "[16, 16]; the file is for models of another family, or damaged")
  }
}
