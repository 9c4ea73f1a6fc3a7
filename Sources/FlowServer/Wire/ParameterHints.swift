/// The counterparts of other programs' parameters.
enum ParameterHints {
  /// A hint for an unknown parameter; nil if there is none.
  ///
  /// - Parameters:
  ///   - name: the parameter.
  ///   - known: the known parameters of the request.
  static func hint(for name: String, known: Set<String>) -> String? {
    if let other = synonyms[name], known.contains(other) { return "use '\(other)'" }
    if let advice = advice[name] { return advice }
    let near = known.map { (EditDistance.between(name, $0), $0) }.min { $0 < $1 }
    // Up to a third of the letters: "promt", "guidence_scale".
    guard let (distance, closest) = near, 3 * distance <= closest.count else { return nil }
    return "did you mean '\(closest)'?"
  }

  private static let synonyms = [
    "cfg": "guidance_scale", "cfg_scale": "guidance_scale", "scale": "guidance_scale",
    "num_inference_steps": "steps", "sampling_steps": "steps", "sample_steps": "steps",
    "num_images": "n", "num_images_per_prompt": "n", "num_outputs": "n", "batch_size": "n",
    "batch_count": "n", "n_iter": "n", "negative": "negative_prompt", "text": "prompt",
    "input": "prompt", "width": "size", "height": "size", "resolution": "size", "sampler": "solver",
    "sampler_name": "solver", "sample_method": "solver", "scheduler": "schedule",
    "denoising_strength": "strength", "image_strength": "strength", "prompt_strength": "strength",
    "controlnet": "controls", "control": "controls", "control_image": "controls",
    "adapters": "controls", "subseed": "seed_blend", "variation_seed": "seed_blend",
    "format": "output_format", "response": "response_format", "preview": "partial_images",
  ]

  private static let advice = [
    "image": "an image to start from is sent to POST /v1/images/edits",
    "init_images": "an image to start from is sent to POST /v1/images/edits",
    "strength": "it belongs to POST /v1/images/edits and POST /v1/streams",
    "mask": "a mask is sent to POST /v1/images/edits, with its image",
    "lora": "LoRAs are chosen where the server is started",
    "loras": "LoRAs are chosen where the server is started",
    "adapter": "adapters are named in 'controls'",
    "prompts": "several prompts are sent to POST /v1/jobs",
  ]
}

/// The case-insensitive edit distance of two words: insertions, deletions and substitutions.
enum EditDistance {
  static func between(_ one: some StringProtocol, _ other: some StringProtocol) -> Int {
    let (one, other) = (Array(one.lowercased()), Array(other.lowercased()))
    var row = Array(0...other.count)
    for (index, character) in one.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for (column, wanted) in other.enumerated() {
        let above = row[column + 1]
        row[column + 1] = min(above + 1, row[column] + 1, diagonal + (character == wanted ? 0 : 1))
        diagonal = above
      }
    }
    return row[other.count]
  }
}
