public import FlowCore
public import FlowModels

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

extension Checkpoint {
  /// The most batch rows that a step of an image takes: by its guidance, or by its edit.
  ///
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan.
  public func peakRowCount(of request: GenerationRequest) throws(ModelError) -> Int {
    let size = request.size ?? nativeSize
    return try plan(for: request, width: size.width, height: size.height)
      .peakRowCount(guidance: request.guidance)
  }
}

/// The parameters that suit an editing method on a model.
public struct EditingDefaults: Equatable, Sendable {
  /// The method with its scales.
  public let method: EditingMethod
  /// Denoising strength, above 0 and at most 1.
  public let strength: Double
  /// The steps that are taken; nil for the model's own.
  public let stepCount: Int?
}

extension Checkpoint {
  /// The editing method that a source prompt alone asks for, with its parameters: that of the model's
  /// `streamflow.json`, else FlowEdit.
  public var defaultEditing: EditingDefaults {
    editingDefaults(notes.editingMethod ?? .flowEdit())
  }

  /// The published parameters of a method for models like this one, and the strength in the model's
  /// `streamflow.json` if it names this method.
  ///
  /// FlowEdit's are those of FLUX.1-dev for networks that read a guidance scale (24 of 28 steps, scales
  /// 1.5 and 5.5) and those of Stable Diffusion 3 for other guided models (33 of 50 steps, 3.5 and 13.5).
  /// Models distilled to a few steps without guidance take their own step count and scales of 1.
  ///
  /// - Parameter method: the method. FlowEdit's scales are replaced only if both are 1.
  public func editingDefaults(_ method: EditingMethod) -> EditingDefaults {
    let published = publishedEditingDefaults(method)
    guard notes.editingMethod?.name == method.name, let strength = notes.editingStrength else {
      return published
    }
    return EditingDefaults(
      method: published.method, strength: strength, stepCount: published.stepCount)
  }

  /// The published parameters of a method for models like this one, whatever its `streamflow.json` says.
  package func publishedEditingDefaults(_ method: EditingMethod) -> EditingDefaults {
    let isGuided = defaults(for: .automatic).guidanceScale > 1
    switch method {
    case .flowEdit(var edit):
      let isUsual = edit.sourceScale == 1 && edit.targetScale == 1
      if family.readsGuidanceScale {
        if isUsual { (edit.sourceScale, edit.targetScale) = (1.5, 5.5) }
        return EditingDefaults(method: .flowEdit(edit), strength: 24 / 28, stepCount: 24)
      }
      guard isGuided else { return EditingDefaults(method: method, strength: 0.8, stepCount: nil) }
      if isUsual { (edit.sourceScale, edit.targetScale) = (3.5, 13.5) }
      return EditingDefaults(method: .flowEdit(edit), strength: 0.66, stepCount: 33)
    case .flowAlign:
      return EditingDefaults(method: method, strength: 1, stepCount: isGuided ? 33 : nil)
    case .rfInversion, .softInterpolation:
      return EditingDefaults(
        method: method, strength: 1, stepCount: family.readsGuidanceScale ? 28 : nil)
    case .inversion:
      return EditingDefaults(method: method, strength: 1, stepCount: nil)
    }
  }
}
