import FlowModels
import Foundation
import StreamFlow
import Testing

@testable import FlowHub

/// Which files of a repository are wanted.
@Suite struct FileChoiceTests {
  private func choice(_ paths: [String]) throws -> FileChoice {
    FileChoice(model: try #require(HubModelName("org/name")), paths: paths.sorted())
  }

  private func pipeline(_ parts: [String], _ paths: [String]) throws -> Set<String> {
    let values = parts.map { "\"\($0)\":[\"diffusers\",\"Something\"]" }
    let index =
      "{\"_class_name\":\"P\",\"feature_extractor\":[null,null],\"requires_safety_checker\":true,"
      + "\(values.joined(separator: ","))}"
    let files = try choice(paths + ["model_index.json"]).files(ofPipeline: Data(index.utf8))
    #expect(Set(files).count == files.count)
    return Set(files).subtracting(["model_index.json"])
  }

  @Test("A Stable Diffusion repository: half precision, safetensors, what is read")
  func stableDiffusion() throws {
    let wanted: Set<String> = [
      "scheduler/scheduler_config.json", "text_encoder/config.json",
      "text_encoder/model.fp16.safetensors", "tokenizer/merges.txt", "tokenizer/vocab.json",
      "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json", "unet/config.json",
      "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json",
      "vae/diffusion_pytorch_model.safetensors", "streamflow.json",
    ]
    let others = [
      "README.md", ".gitattributes", "v1-5-pruned.ckpt", "v1-5-pruned.safetensors",
      "safety_checker/config.json", "safety_checker/model.safetensors",
      "feature_extractor/preprocessor_config.json", "text_encoder/model.safetensors",
      "text_encoder/pytorch_model.bin", "unet/diffusion_pytorch_model.bin",
      "unet/diffusion_pytorch_model.safetensors",
      "unet/diffusion_pytorch_model.non_ema.safetensors",
      "vae/diffusion_pytorch_model.bin", "vae/old/diffusion_pytorch_model.fp16.safetensors",
      "tokenizer/notes.txt",
    ]
    let parts = [
      "scheduler", "text_encoder", "tokenizer", "unet", "vae", "safety_checker", "processor",
    ]
    #expect(try pipeline(parts, Array(wanted) + others) == wanted)
  }

  @Test("Shards come with their index, all of them or not at all")
  func shards() throws {
    let plain = (1...3).map { "transformer/diffusion_pytorch_model-0000\($0)-of-00003.safetensors" }
    let half = (1...2).map {
      "transformer/diffusion_pytorch_model.fp16-0000\($0)-of-00002.safetensors"
    }
    let index = "transformer/diffusion_pytorch_model.safetensors.index.json"
    let halfIndex = "transformer/diffusion_pytorch_model.safetensors.index.fp16.json"
    let all = ["transformer/config.json", index, halfIndex] + plain + half
    #expect(
      try pipeline(["transformer"], all) == Set(["transformer/config.json", halfIndex] + half))
    #expect(
      try pipeline(["transformer"], ["transformer/config.json", index] + plain)
        == Set(["transformer/config.json", index] + plain))
    #expect(throws: HubError.self) {
      try pipeline(["transformer"], ["transformer/config.json", index] + plain.dropLast())
    }
  }

  @Test("Transformer repositories: every text encoder and tokenizer, no single file beside them")
  func transformers() throws {
    let shards = (1...2).map { "text_encoder_3/model.fp16-0000\($0)-of-00002.safetensors" }
    let stableDiffusion3 = [
      "text_encoder/config.json", "text_encoder/model.fp16.safetensors",
      "text_encoder_2/config.json", "text_encoder_2/model.fp16.safetensors",
      "text_encoder_3/config.json", "text_encoder_3/model.safetensors.index.fp16.json",
      "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer_2/vocab.json",
      "tokenizer_3/spiece.model", "tokenizer_3/tokenizer.json", "transformer/config.json",
      "transformer/diffusion_pytorch_model.safetensors", "vae/config.json",
      "vae/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json",
    ]
    #expect(
      try pipeline(
        [
          "scheduler", "text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer",
          "tokenizer_2", "tokenizer_3", "transformer", "vae", "image_encoder",
        ],
        stableDiffusion3 + shards + [
          "sd3_medium_incl_clips.safetensors", "text_encoders/t5xxl_fp16.safetensors",
          "image_encoder/config.json",
        ]) == Set(stableDiffusion3 + shards))
    let flux2 = [
      "text_encoder/config.json", "text_encoder/model.safetensors", "tokenizer/added_tokens.json",
      "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json", "transformer/config.json",
      "transformer/diffusion_pytorch_model.safetensors", "vae/config.json",
      "vae/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json",
    ]
    #expect(
      try pipeline(
        ["scheduler", "text_encoder", "tokenizer", "transformer", "vae"],
        flux2 + ["flux-2-klein-4b.safetensors", "tokenizer/chat_template.jinja"]) == Set(flux2))
  }

  @Test("A tiny autoencoder beside the pipeline comes along")
  func tiny() throws {
    let files = ["vae_tiny/config.json", "vae_tiny/diffusion_pytorch_model.safetensors"]
    #expect(try pipeline([], files) == Set(files))
  }

  @Test("Weights in other formats are named in the error, and so is the way out")
  func pickles() throws {
    let paths = ["unet/config.json", "unet/diffusion_pytorch_model.bin"]
    let error = #expect(throws: HubError.self) { try pipeline(["unet"], paths) }
    #expect(error?.code == .filesUnclear)
    #expect(error?.message.contains("only 'unet/diffusion_pytorch_model.bin'") ?? false)
    #expect(error?.settings == [.revision, .files])
    let other = #expect(throws: HubError.self) {
      try pipeline(["unet"], ["unet/config.json", "unet/diffusion_pytorch_model.v0-1.safetensors"])
    }
    #expect(other?.message.contains("v0-1") ?? false)
    #expect(throws: HubError.self) { try pipeline(["unet", "vae"], ["vae/config.json"]) }
  }

  @Test("An invalid index, or one that names parts outside the folder, does no harm")
  func hostileIndex() throws {
    let paths = ["model_index.json", "unet/config.json"]
    for text in ["", "[]", "null", "\"x\""] {
      #expect(throws: HubError.self) { try choice(paths).files(ofPipeline: Data(text.utf8)) }
    }
    #expect(try pipeline(["..", "../x", "a/b", ""], []).isEmpty)
  }

  @Test("A repository of one file of weights, or of one component, needs no choice")
  func single() throws {
    #expect(
      try choice(["README.md", "style.safetensors", "x/other.safetensors"]).filesOfSingle()
        == ["style.safetensors"])
    let component = [
      "config.json", "diffusion_pytorch_model.safetensors", "taesd_decoder.safetensors",
    ]
    #expect(try choice(component).filesOfSingle() == Array(component.prefix(2)))
    let error = #expect(throws: HubError.self) {
      try choice(["a.safetensors", "b.safetensors"]).filesOfSingle()
    }
    #expect(error?.message.contains("'a.safetensors', 'b.safetensors'; name one") ?? false)
    #expect(error?.settings == [.files])
    #expect(throws: HubError.self) { try choice(["README.md"]).filesOfSingle() }
  }

  @Test("Patterns replace the choice, and one that fits nothing is an error")
  func patterns() throws {
    let choice = try choice(["a.bin", "b.safetensors", "c/d.safetensors"])
    #expect(
      try choice.files(matching: ["*.safetensors", "a.*"])
        == ["a.bin", "b.safetensors", "c/d.safetensors"])
    #expect(throws: HubError.self) { try choice.files(matching: ["*.ckpt"]) }
  }

  @Test(
    "Patterns fit as Python's fnmatch has them fit",
    arguments: [
      ("*.json", "unet/config.json", true), ("*.json", "config.jso", false),
      ("unet/*", "unet/a/b", true), ("unet/", "unet/a", true), ("unet/", "unet", false),
      ("**/*.txt", "a/b.txt", true), ("**/*.txt", "b.txt", false), ("?.bin", "a.bin", true),
      ("?.bin", ".bin", false), ("[a-c]*", "bx", true), ("[!a-c]*", "bx", false),
      ("[]]", "]", true),
      ("[a", "[a", true), ("[a-]", "-", true), ("A*", "a", false), ("", "", true), ("*", "", true),
      ("*a*b*c", "xxaxxbxxc", true), ("*a*b*c", "xxaxxcxxb", false), ("a.c", "abc", false),
    ])
  func globs(pattern: String, path: String, fits: Bool) {
    #expect(Glob(pattern).matches(path) == fits)
  }

  @Test("A pattern of many stars takes no longer than it is long")
  func manyStars() {
    let pattern = String(repeating: "*a", count: 500) + "b"
    #expect(!Glob(pattern).matches(String(repeating: "a", count: 2000)))
  }
}

/// Hashes with known answers.
@Suite struct BlobDigestTests {
  @Test("Digests are the published ones, and git's own names of blobs")
  func known() throws {
    let sha256 = try #require(
      BlobDigest("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
    var hash = try BlobHash(like: sha256, byteCount: 3)
    hash.update(Data("a".utf8))
    hash.update(Data("bc".utf8))
    #expect(hash.digits == sha256.name)
    // `printf hello | git hash-object --stdin`
    let git = try #require(BlobDigest("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"))
    var blob = try BlobHash(like: git, byteCount: 5)
    blob.update(Data("hello".utf8))
    #expect(blob.digits == git.name)
  }

  @Test("A header's quotes and weakness are removed; other texts are not digests")
  func headers() {
    let digits = String(repeating: "ab", count: 20)
    for text in [digits, "\"\(digits)\"", "W/\"\(digits)\"", digits.uppercased()] {
      #expect(BlobDigest(text)?.name == digits)
    }
    for text in [nil, "", "abc", "\"", String(repeating: "g", count: 40), "../\(digits)"] {
      #expect(BlobDigest(text) == nil)
    }
  }

  @Test("Content-Range is read as it is written, or not at all")
  func ranges() {
    #expect(ContentRange("bytes 5-9/10") == ContentRange("bytes 5-9/10"))
    #expect(ContentRange("bytes 5-9/10")?.total == 10 && ContentRange("bytes 5-9/*")?.first == 5)
    for text in [
      nil, "", "bytes */10", "bytes 9-5/10", "items 1-2/3", "bytes 1-99999999999999999999/3",
    ] {
      #expect(ContentRange(text) == nil)
    }
  }
}
