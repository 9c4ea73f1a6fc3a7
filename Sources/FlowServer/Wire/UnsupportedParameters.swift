internal import HTTPTypes

/// Parameters of OpenAI's images API that do not apply to these models.
///
/// Parameters that only tune the result are ignored with a warning. Parameters whose result would
/// be of the wrong kind are rejected, as OpenAI does for models that lack a feature: a client that
/// requests a transparent background composites the image over something.
extension RequestFields {
  /// Reads all of them.
  ///
  /// - Throws: `invalid_value` for a value that OpenAI does not define, and for `background:
  ///   "transparent"`.
  mutating func readUnsupportedParameters() throws(ServerError) {
    try readIgnored(
      "quality", of: ["auto", "standard", "low", "medium", "high", "hd", "xhigh", "max"],
      defaults: ["auto", "standard"], remedy: "set 'steps' instead")
    try readIgnored("complexity", of: ["low", "medium", "high"], remedy: "set 'steps' instead")
    try readIgnored(
      "style", of: ["vivid", "natural"], remedy: "describe the style in 'prompt'")
    try readIgnored(
      "moderation", of: ["auto", "low"],
      remedy: "this server does not filter prompts or images")
    if try choice("background", of: ["auto", "opaque", "transparent"]) == "transparent" {
      throw .invalid(
        "transparent backgrounds are not supported; set 'background' to opaque or auto",
        parameter: "background")
    }
  }

  /// Reads a parameter that has no effect, and adds a warning.
  ///
  /// - Parameters:
  ///   - name: the parameter.
  ///   - words: its values.
  ///   - defaults: the values that match the actual behavior and cause no warning.
  ///   - remedy: the alternative.
  mutating func readIgnored(
    _ name: String, of words: [String], defaults: Set<String> = [], remedy: String
  ) throws(ServerError) {
    guard let word = try choice(name, of: words), !defaults.contains(word) else { return }
    warn(ResponseWarning(.parameterIgnored, "'\(name)' is ignored; \(remedy)", parameter: name))
  }
}
