import Testing

@testable import FlowModels

@Suite struct FluxConfigurationTests {
  private static func configuration(
    _ values: [String: ConfigurationFile.Value]
  ) throws -> FluxTransformerConfiguration {
    try FluxTransformerConfiguration(ConfigurationFile(path: "config.json", values: values))
  }

  @Test("An empty file is FLUX.1 schnell, as in diffusers")
  func defaults() throws {
    let configuration = try Self.configuration([:])
    #expect(configuration.width == 3072)
    #expect(configuration.channels == 16)
    #expect(configuration.doubleBlockCount == 19 && configuration.singleBlockCount == 38)
    #expect(!configuration.readsGuidance)
  }

  @Test(
    "As many weights are read as the published checkpoints hold",
    arguments: [(false, 1156), (true, 1160)])
  func weightNames(readsGuidance: Bool, count: Int) throws {
    let configuration = try Self.configuration(["guidance_embeds": .bool(readsGuidance)])
    #expect(configuration.weightNames.count == count)
  }

  @Test(
    "What is not known is refused with key, value and what is expected",
    arguments: [
      ("_class_name", .text("SD3Transformer2DModel"), "\"FluxTransformer2DModel\""),
      ("patch_size", .integer(2), "1"), ("in_channels", .integer(66), "a multiple of 4"),
      ("out_channels", .integer(32), "64"), ("num_layers", .integer(0), "1 to 256"),
      ("axes_dims_rope", .list([.integer(16), .integer(56), .integer(54)]), "128"),
      ("axes_dims_rope", .list([.integer(128)]), "3 numbers"),
      ("guidance_embeds", .text("yes"), "true or false"),
      ("mlp_ratio", .number(3), "null"),
    ] as [(String, ConfigurationFile.Value, String)])
  func refusals(key: String, value: ConfigurationFile.Value, expected: String) throws {
    let error = #expect(throws: ModelError.self) { try Self.configuration([key: value]) }
    let message = try #require(error?.message)
    #expect(message.contains("\(key) = \(value.words)"), "\(message)")
    #expect(message.contains(expected), "\(message)")
  }
}
