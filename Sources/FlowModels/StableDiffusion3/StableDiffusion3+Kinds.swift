/// The models of the family, and their distilled variants.
extension StableDiffusion3 {
  static let kinds: [ModelKind] = [
    ModelKind(
      name: "SD3.5-Large-Turbo",
      sign: "the pipeline is StableDiffusion3Pipeline and the name has "
        + "'turbo'", schedule: .flowMatching, stepCount: 4, guidanceScale: 1
    ) { $0.name.contains("turbo") },
    kind(.medium, sign: "blocks with two attentions (dual_attention_layers)", 40, 4.5),
    kind(.large, sign: "normalized queries and keys (qk_norm)", 28, 3.5),
    kind(.sd3, sign: "the pipeline is StableDiffusion3Pipeline", 28, 7),
  ]

  private static func kind(
    _ variant: SD3TransformerConfiguration.Variant, sign: String, _ stepCount: Int,
    _ guidanceScale: Float
  ) -> ModelKind {
    ModelKind(
      name: variant.rawValue, sign: sign, schedule: .flowMatching, stepCount: stepCount,
      guidanceScale: guidanceScale
    ) { $0.variant == variant.rawValue }
  }
}
