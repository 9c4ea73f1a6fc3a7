internal import FlowCore
public import FlowModels

extension Checkpoint {
  /// The number of layers of which skip-layer guidance may leave some out; 0 if the model has no such
  /// guidance.
  public var skippableLayerCount: Int { family.skippableLayerCount }

  /// Checks a request's skip-layer guidance.
  ///
  /// - Throws: `requestInvalid` for a model without it, and for values that are out of range.
  func check(
    _ skipping: SkipLayerGuidance?, of request: GenerationRequest
  ) throws(ModelError) {
    guard let skipping else { return }
    func refused(_ message: String) -> ModelError {
      ModelError(code: .requestInvalid, message: message, settings: [.skipLayers])
    }
    let count = skippableLayerCount
    guard count > 0 else {
      throw refused(
        "\(name) has no skip-layer guidance, which Stable Diffusion 3 and 3.5 have; leave it out")
    }
    guard !skipping.layers.isEmpty, skipping.layers.allSatisfy((0..<count).contains),
      Set(skipping.layers).count == skipping.layers.count
    else {
      throw refused(
        "skip-layer guidance leaves out one or more of the layers 0 to \(count - 1), each once, got "
          + "\(skipping.layers)")
    }
    guard (0...1).contains(skipping.start), (0...1).contains(skipping.stop),
      skipping.start < skipping.stop
    else {
      throw refused(
        "skip-layer guidance acts in a range of 0 to 1 of the steps, got \(skipping.start) to "
          + "\(skipping.stop)")
    }
    guard skipping.scale.isFinite else {
      throw refused("the scale of skip-layer guidance must be a number, got \(skipping.scale)")
    }
    guard request.editing == nil else {
      throw refused(
        "skip-layer guidance does not combine with an editing method; leave one of them out")
    }
    switch request.guidance {
    case .none, .full: break
    case .selfNegative, .onetimeNegative, .distilled:
      throw refused(
        "skip-layer guidance needs full guidance or none, got "
          + "\(request.guidance.kind?.rawValue ?? "another")")
    }
  }
}
