internal import HTTPTypes

/// Parameters of OpenAI's images API that the models here have no use for.
///
/// One that only tunes the result is ignored with a warning. One whose result would be of the wrong
/// kind is refused, as OpenAI refuses it of a model that cannot do it: a client that asks for a
/// transparent background composites the image over something.
extension RequestFields {
  /// Reads them all.
  ///
  /// - Throws: `invalid_value` for a value that OpenAI does not have, and for
  ///   `background: "transparent"`.
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

  /// Reads a parameter that has no effect, and warns of that.
  ///
  /// - Parameters:
  ///   - name: the parameter.
  ///   - words: its values.
  ///   - defaults: those that ask for what is done anyway, without a warning.
  ///   - remedy: what to do instead.
  mutating func readIgnored(
    _ name: String, of words: [String], defaults: Set<String> = [], remedy: String
  ) throws(ServerError) {
    guard let word = try choice(name, of: words), !defaults.contains(word) else { return }
    warn(ResponseWarning(.parameterIgnored, "'\(name)' is ignored; \(remedy)", parameter: name))
  }
}
