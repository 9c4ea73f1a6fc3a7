internal import HTTPTypes

/// What names of models mean.
package enum ModelNames {
  /// What the names of OpenAI's image models begin with, which ready-made clients send.
  static let openAIPrefixes = ["chatgpt-image-", "dall-e-", "gpt-image-"]

  /// The model that a name means: the first one where there is none, and for a name of OpenAI's that
  /// no model has.
  ///
  /// - Parameters:
  ///   - name: the name.
  ///   - models: the models that there are, one or more.
  ///   - acceptsOpenAINames: whether OpenAI's names are taken.
  /// - Returns: its index.
  /// - Throws: `model_not_found`.
  package static func index(
    of name: String?, among models: [String], acceptsOpenAINames: Bool
  ) throws(ServerError) -> Int {
    guard let name else { return 0 }
    if let index = models.firstIndex(of: name) { return index }
    if acceptsOpenAINames, openAIPrefixes.contains(where: name.hasPrefix) { return 0 }
    throw ServerError(
      .notFound, "model_not_found",
      "there is no model '\(name.prefix(80))'; this server has "
        + models.joined(separator: ", "), parameter: "model")
  }
}
