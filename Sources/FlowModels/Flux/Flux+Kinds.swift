internal import FlowCore

extension Flux {
  static let kinds: [ModelKind] = [
    ModelKind(
      name: "FLUX.1 Fill", sign: "the network reads a masked image",
      schedule: .flowMatching, stepCount: 50, guidanceScale: 30
    ) { $0.variant == fill },
    ModelKind(
      name: "FLUX.1 Kontext",
      sign: "the pipeline is FluxKontextPipeline, or the file's name has Kontext",
      schedule: .flowMatching, stepCount: 28, guidanceScale: 3.5
    ) { $0.variant == kontext },
    ModelKind(
      name: "FLUX.1 dev", sign: "the network reads the guidance scale",
      schedule: .flowMatching, stepCount: 28, guidanceScale: 3.5
    ) { $0.readsGuidance },
    ModelKind(
      name: "FLUX.1 schnell", sign: "the network does not read the guidance scale",
      schedule: .flowMatching, stepCount: 4, guidanceScale: 1
    ) { _ in true },
  ]
}
