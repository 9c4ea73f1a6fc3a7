internal import FlowModels
internal import Foundation
internal import StreamFlow

/// Chooses the files of a repository that this package reads.
struct FileChoice {
  /// The model, for error messages.
  let model: HubModelName
  /// The paths of all files.
  let paths: [String]

  private static let index = "model_index.json"
  private static let tokenizerFiles: Set<String> = [
    "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "spiece.model",
  ]
  /// Pipeline components that image generation does not need.
  private static let unused: Set<String> = [
    "safety_checker", "feature_extractor", "image_encoder", "processor",
  ]

  /// The file that lists the components of a pipeline, if the repository is one.
  var indexPath: String? { paths.contains(Self.index) ? Self.index : nil }

  /// The files that match patterns, in place of the automatic choice.
  func files(matching patterns: [String]) throws(HubError) -> [String] {
    let globs = patterns.map { Glob($0) }
    let chosen = paths.filter { path in globs.contains { $0.matches(path) } }
    guard !chosen.isEmpty else {
      throw HubError(
        .filesUnclear,
        "no file of '\(model)' matches \(Self.quoted(patterns)); it has \(Self.quoted(paths))")
    }
    return chosen
  }

  /// The files of a pipeline.
  ///
  /// - Parameter index: the contents of `model_index.json`.
  func files(ofPipeline index: Data) throws(HubError) -> [String] {
    let own = [
      "streamflow.json", "streamflow-vocabulary.json", "streamflow-upscaler.safetensors",
    ]
    var chosen = [Self.index] + paths.filter(own.contains)
    for part in try parts(of: index) {
      let inside = paths.filter { $0.hasPrefix("\(part)/") }
      guard !inside.isEmpty else {
        throw HubError(
          .filesUnclear,
          "model_index.json of '\(model)' names '\(part)', but there is no such folder; name "
            + "the files yourself", settings: [.files])
      }
      if part.hasPrefix("tokenizer") {
        chosen += inside.filter {
          Self.tokenizerFiles.contains(String($0.dropFirst(part.count + 1)))
        }
      } else if part.hasPrefix("scheduler") {
        chosen += inside.filter { $0.hasSuffix(".json") }
      } else {
        chosen += try files(ofComponent: part)
      }
    }
    return chosen
  }

  /// The files of a repository that is not a pipeline: one component, or one weight file.
  func filesOfSingle() throws(HubError) -> [String] {
    let root = paths.filter { !$0.contains("/") }
    let weights = root.filter { $0.hasSuffix(".safetensors") }
    let configuration = root.filter { $0 == "config.json" }
    if !configuration.isEmpty, let own = try WeightFiles(paths: root, folder: "").preferred() {
      return configuration + own
    }
    guard weights.count == 1 else {
      throw HubError(
        .filesUnclear,
        weights.isEmpty
          ? "'\(model)' has neither model_index.json nor *.safetensors at its root; it has "
            + "\(Self.quoted(paths)); name the files yourself"
          : "'\(model)' has \(weights.count) weight files: \(Self.quoted(weights)); name one",
        settings: [.files])
    }
    return configuration + weights
  }

  /// The folders listed in `model_index.json`, and the tiny autoencoder's if there is one.
  private func parts(of index: Data) throws(HubError) -> [String] {
    guard let object = (try? JSONSerialization.jsonObject(with: index)) as? [String: Any] else {
      throw HubError(.answerInvalid, "model_index.json of '\(model)' is not a JSON object")
    }
    var parts = object.compactMap { name, value -> String? in
      guard !name.hasPrefix("_"), let pair = value as? [Any], pair.count == 2, pair[1] is String,
        HubListing.isSafe(name), !name.contains("/"), !Self.unused.contains(name)
      else { return nil }
      return name
    }
    if paths.contains("vae_tiny/config.json"), !parts.contains("vae_tiny") {
      parts.append("vae_tiny")
    }
    return parts.sorted()
  }

  private func files(ofComponent folder: String) throws(HubError) -> [String] {
    let weights = WeightFiles(paths: paths, folder: "\(folder)/")
    guard let chosen = try weights.preferred() else {
      let others = weights.others
      throw HubError(
        .filesUnclear,
        others.isEmpty
          ? "'\(folder)' of '\(model)' has no weights"
          : "'\(folder)' of '\(model)' has no readable weights, only "
            + "\(Self.quoted(others)); expected \(WeightFiles.stems.joined(separator: " or "))"
            + ".safetensors, plain or fp16: look for a revision that has them, or "
            + "name the files yourself", settings: [.revision, .files])
    }
    return paths.filter { $0 == "\(folder)/config.json" } + chosen
  }

  /// Quoted names, shortened to the first few.
  static func quoted(_ names: [String]) -> String {
    let shown = names.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
    return names.isEmpty
      ? "nothing" : names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }
}
