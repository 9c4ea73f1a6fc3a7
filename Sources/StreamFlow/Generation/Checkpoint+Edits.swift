internal import FlowCore
internal import FlowModels

extension Checkpoint {
  /// Checks a request's mask.
  func check(_ source: InputImage?) throws(ModelError) {
    guard let source, let mask = source.mask else { return }
    func refused(_ message: String) -> ModelError {
      ModelError(code: .requestInvalid, message: message)
    }
    guard mask.width > 0, mask.height > 0 else { throw refused("the mask has no pixels") }
    guard !mask.isEmpty else {
      throw refused(
        "the mask repaints nothing: all of it is black (or opaque, where a mask is an image's "
          + "alpha); white marks what is repainted")
    }
    guard source.maskBlur >= 0, source.maskBlur <= 1024 else {
      throw refused("the blur of a mask is 0 to 1024 pixels, got \(source.maskBlur)")
    }
  }

  /// Checks that an edit has all inputs of its method.
  func check(_ editing: Editing?, of request: GenerationRequest) throws(ModelError) {
    guard let editing else { return }
    func refused(_ message: String) -> ModelError {
      ModelError(code: .requestInvalid, message: message)
    }
    let name = editing.method.name
    guard request.source != nil else {
      throw refused("\(name) edits an image, and the request has none; give it a source")
    }
    guard request.solver == .euler else {
      throw refused(
        "\(name) has a solver of its own, and the request asks for \(request.solver.rawValue); "
          + "leave it at euler")
    }
    switch request.guidance {
    case .none, .full, .distilled: break
    case .onetimeNegative, .selfNegative:
      throw refused(
        "\(name) takes full guidance or none, got \(request.guidance.kind?.rawValue ?? "another")")
    }
    if !editing.method.takesGuidance, case .full = request.guidance {
      throw refused(
        "\(name) has guidance scales of its own, and the request asks for full guidance; set the "
          + "method's scales and the request's guidance to none")
    }
  }
}

extension GenerationRequest {
  /// Whether an unconditional conditioning is read, by guidance or by the edit.
  ///
  /// - Parameter readsScale: whether the network reads guidance scales itself.
  func readsUnconditional(readsScale: Bool) -> Bool {
    guidance.readsUnprompted || editing?.method.readsUnconditional(readsScale: readsScale) == true
  }

  /// The guidance scale that the network reads with the prompt, if it reads one.
  var networkScale: Float {
    if case .flowEdit(let edit)? = editing?.method { return Float(edit.targetScale) }
    if case .distilled(let scale) = guidance { return scale }
    return 1
  }
}

extension Editing {
  /// The guidance scale that the network reads with the source prompt, if it reads one.
  var sourceNetworkScale: Float {
    if case .flowEdit(let edit) = method { Float(edit.sourceScale) } else { 1 }
  }
}
