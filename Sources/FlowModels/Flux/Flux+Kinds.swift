internal import FlowCore

extension Flux {
  static let kinds: [ModelKind] = [
    ModelKind(
      name: "FLUX.1 Kontext", sign: "the pipeline is FluxKontextPipeline",
      schedule: .flowMatching, stepCount: 28, guidanceScale: 3.5
    ) { $0.pipelineName == "FluxKontextPipeline" },
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
