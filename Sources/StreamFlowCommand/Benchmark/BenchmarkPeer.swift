/// Another program to compare with.
struct BenchmarkPeer {
  let label: String
  let command: [String]
  /// Whether it only runs models that have a full autoencoder.
  let needsFullAutoencoder: Bool

  /// The peers that the repository's script times.
  ///
  /// - Parameters:
  ///   - words: the command: a Python and the script.
  ///   - prefersBFloat16: whether they run in bfloat16 too.
  static func all(_ words: [String], prefersBFloat16: Bool) -> [BenchmarkPeer] {
    [
      ("diffusers-vanilla", "diffusers, a loop, guidance 7.5, full autoencoder", true),
      ("diffusers", "diffusers, a loop, no guidance, tiny autoencoder", false),
      ("diffusers-batch", "diffusers, all at once, no guidance, tiny autoencoder", false),
      ("diffusers-vanilla-bf16", "diffusers, guidance 7.5, full autoencoder, bf16", true),
      ("diffusers-bf16", "diffusers, no guidance, tiny autoencoder, bf16", false),
      ("genai", "OpenVINO GenAI, no guidance, tiny autoencoder, f32", true),
      ("genai-bf16", "OpenVINO GenAI, no guidance, tiny autoencoder, bf16", true),
      ("genai-default", "OpenVINO GenAI by default, guidance 7.5, full autoencoder", true),
      ("optimum", "optimum-intel (OpenVINO), no guidance, full autoencoder", true),
      ("stable-diffusion-cpp", "stable-diffusion.cpp, no guidance, tiny autoencoder", false),
    ].filter { prefersBFloat16 || !$0.0.hasSuffix("-bf16") }.map { kind, label, needsFull in
      BenchmarkPeer(
        label: label, command: words + ["--peer", kind], needsFullAutoencoder: needsFull)
    }
  }
}
