internal import FlowCore
internal import FlowModels
internal import StreamFlow

/// A request's editing method and its inputs.
struct OrderEditing: Codable, Sendable {
  /// The method in the request; nil for the model's own.
  let method: EditingMethod?
  let sourcePrompt: String
  /// Denoising strength, if the client chose one.
  let strength: Double?

  private enum CodingKeys: String, CodingKey {
    case method, strength
    case sourcePrompt = "source_prompt"
  }

  /// Parses `method` and `source_prompt`; nil for image-to-image.
  ///
  /// - Parameters:
  ///   - fields: the parameters.
  ///   - limits: the limits of the server.
  ///   - strength: the strength that the client chose.
  init?(
    _ fields: inout RequestFields, limits: ServerLimits, strength: Double?
  ) throws(ServerError) {
    let prompt = try fields.text("source_prompt", limit: limits.promptLength)
    self.strength = strength
    guard let text = try fields.text("method", limit: 100) else {
      guard let prompt else { return nil }
      (method, sourcePrompt) = (nil, prompt)
      return
    }
    guard text != "sdedit" else {
      guard prompt == nil else {
        throw .invalid(
          "sdedit reads no 'source_prompt'; choose another 'method'", parameter: "source_prompt")
      }
      return nil
    }
    guard let method = EditingMethod(rawValue: text) else {
      throw .invalid(
        "'method' must be sdedit, \(EditingMethod.spellings), or instruct, got '\(text)'",
        parameter: "method")
    }
    guard !method.readsSourcePrompt || prompt != nil else {
      throw .invalid(
        "'method' \(method.name) reads what the image shows: set 'source_prompt'",
        parameter: "source_prompt")
    }
    guard method.readsSourcePrompt || prompt == nil else {
      throw .invalid(
        "'method' \(method.name) reads no 'source_prompt'; remove it", parameter: "source_prompt")
    }
    self.method = method
    sourcePrompt = prompt ?? ""
  }

  /// Sets the edit of a request, with the method's defaults for what the client left out.
  func apply(
    to request: inout GenerationRequest, of checkpoint: Checkpoint, sampling: SamplingFields
  ) {
    let defaults = method.map(checkpoint.editingDefaults) ?? checkpoint.defaultEditing
    request.takeEditing(defaults, sourcePrompt: sourcePrompt, besides: sampling)
    if strength == nil { request.source?.strength = defaults.strength }
  }
}

/// Methods are stored as they are written; decoding rejects an unknown one.
extension EditingMethod: Codable {}
