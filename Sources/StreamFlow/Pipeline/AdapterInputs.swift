internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The network inputs that were computed from an image's adapter images.
struct AdapterInputs {
  private struct Entry {
    let control: ControlInput
    let scales: Conditioning.Input
    let conditional: [Conditioning.Input]
    let unconditional: [Conditioning.Input]
  }

  private var entries: [Entry] = []

  /// The inputs of an image without adapters.
  init() {}

  /// Reads the images of a request's controls.
  ///
  /// - Precondition: the encoder was prepared for the request's adapters.
  init(_ request: GenerationRequest, of checkpoint: Checkpoint, encoder: AdapterEncoder) throws {
    let indices = try checkpoint.adapterIndices(of: request)
    let readsUnconditional = request.readsUnconditional(
      readsScale: checkpoint.family.readsGuidanceScale)
    entries = try zip(request.controls, indices).map { control, index in
      func inputs(isUnconditional: Bool) throws -> [Conditioning.Input] {
        try encoder.inputs(
          of: control, adapter: index, source: request.source,
          isUnconditional: isUnconditional)
      }
      let adapter = checkpoint.adapters[index].adapter
      return Entry(
        control: control,
        scales: .init(
          PortName("\(adapter.name).scales"), [Float](repeating: 0, count: adapter.scaleCount)),
        conditional: try inputs(isUnconditional: false),
        unconditional: readsUnconditional ? try inputs(isUnconditional: true) : [])
    }
  }

  /// The stages at which the set of acting adapters changes; the first is 0.
  func stages(of count: Int) -> [Int] {
    (0..<count).filter { stage in
      stage == 0
        || entries.contains {
          $0.control.acts(inStep: stage, of: count) != $0.control.acts(inStep: stage - 1, of: count)
        }
    }
  }

  /// The inputs of the rows of a stage; an adapter that does not act in it has scales of 0.
  func inputs(
    atStage stage: Int, of count: Int
  ) -> (conditional: [Conditioning.Input], unconditional: [Conditioning.Input]) {
    var (conditional, unconditional): ([Conditioning.Input], [Conditioning.Input]) = ([], [])
    for entry in entries {
      guard !entry.control.acts(inStep: stage, of: count) else {
        conditional += entry.conditional
        unconditional += entry.unconditional
        continue
      }
      func silenced(_ inputs: [Conditioning.Input]) -> [Conditioning.Input] {
        inputs.map { $0.name == entry.scales.name ? entry.scales : $0 }
      }
      conditional += silenced(entry.conditional)
      unconditional += silenced(entry.unconditional)
    }
    return (conditional, unconditional)
  }
}
