import Testing

@testable import FlowModels

/// What the networks of FLUX.2 and Z-Image take of `transformer/config.json`.
@Suite struct TransformerConfigurationTests {
  typealias Value = ConfigurationFile.Value

  private static func file(_ values: [String: Value]) -> ConfigurationFile {
    ConfigurationFile(path: "config.json", values: values)
  }

  @Test("An empty file is what diffusers makes of one")
  func defaults() throws {
    let flux2 = try Flux2TransformerConfiguration(Self.file([:]))
    #expect(flux2.width == 6144 && flux2.channels == 128 && flux2.textWidth == 15360)
    #expect(flux2.layerCount == 8 && flux2.singleLayerCount == 48 && flux2.readsGuidance)
    let zimage = try ZImageTransformerConfiguration(Self.file([:]))
    #expect(zimage.width == 3840 && zimage.channels == 16 && zimage.textWidth == 2560)
    #expect(zimage.layerCount == 30 && zimage.refinerCount == 2 && zimage.timeScale == 1000)
  }

  private static func check(
    _ key: String, _ value: Value, _ expected: String, _ read: (ConfigurationFile) throws -> Void
  ) throws {
    let error = #expect(throws: ModelError.self) { try read(file([key: value])) }
    let message = try #require(error?.message)
    #expect(message.contains("\(key) = \(value.words)"), "\(message)")
    #expect(message.contains(expected), "\(message)")
  }

  @Test(
    "FLUX.2: what is not known is refused with key, value and what is expected",
    arguments: [
      ("_class_name", .text("FluxTransformer2DModel"), "\"Flux2Transformer2DModel\""),
      ("patch_size", .integer(2), "1"), ("out_channels", .integer(64), "128"),
      ("num_single_layers", .integer(-1), "0 to"), ("rope_theta", .integer(0), "above 0"),
      ("axes_dims_rope", .list([.integer(32), .integer(32), .integer(64)]), "4 numbers"),
      ("axes_dims_rope", .list([4, 4, 4, 4].map { .integer($0) }), "attention_head_dim (128)"),
      ("guidance_embeds", .text("yes"), "true or false"),
    ] as [(String, Value, String)])
  func flux2(key: String, value: Value, expected: String) throws {
    try Self.check(key, value, expected) { _ = try Flux2TransformerConfiguration($0) }
  }

  @Test(
    "Z-Image: what is not known is refused with key, value and what is expected",
    arguments: [
      ("_class_name", .text("Lumina2Transformer2DModel"), "\"ZImageTransformer2DModel\""),
      ("all_patch_size", .list([.integer(2), .integer(4)]), "[2]"),
      ("all_f_patch_size", .list([.integer(2)]), "[1]"),
      ("siglip_feat_dim", .integer(1152), "null"), ("n_kv_heads", .integer(10), "30"),
      ("axes_dims", .list([.integer(32), .integer(48), .integer(32)]), "3840 / 30"),
      ("axes_lens", .list([.integer(32)]), "3 numbers"), ("qk_norm", .integer(1), "true or false"),
    ] as [(String, Value, String)])
  func zimage(key: String, value: Value, expected: String) throws {
    try Self.check(key, value, expected) { _ = try ZImageTransformerConfiguration($0) }
  }
}
