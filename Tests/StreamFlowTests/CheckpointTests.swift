import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Whole and broken model folders.
@Suite(.tags(.engine)) struct CheckpointTests {
  private let folder: TemporaryFolder

  /// A copy of the starter that a test can break.
  init() throws {
    folder = try TemporaryFolder()
    try FileManager.default.copyItem(
      atPath: Checkpoint.starter64().folder, toPath: "\(folder.path)/model")
  }

  private var model: String { "\(folder.path)/model" }

  private func message() -> String {
    do {
      _ = try Checkpoint(folder: model)
      return "no error"
    } catch { return error.message }
  }

  private func replace(_ old: String, with new: String, in file: String) throws {
    let path = "\(model)/\(file)"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains(old))
    try text.replacingOccurrences(of: old, with: new).write(
      toFile: path, atomically: true, encoding: .utf8)
  }

  @Test("The starter is a whole model")
  func whole() throws {
    let checkpoint = try Checkpoint.starter64()
    #expect(
      checkpoint.name == "starter" && checkpoint.nativeSize == PixelSize(width: 64, height: 64))
    #expect(checkpoint.defaults() == .init(stepCount: 1, guidanceScale: 1))
    #expect(checkpoint.schedulerName == "FlowMatchEulerDiscreteScheduler")
    let report = ModelReport(checkpoint)
    #expect(report.components.map(\.name) == ["unet", "text", "vae"])
    #expect(report.components[0].parameters > 5_700_000 && report.components[0].types == ["F16"])
  }

  @Test("A missing folder, and a file in its place, are reported")
  func absent() throws {
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: "/nowhere") }
    #expect(
      error?.message
        == "there is no model at '/nowhere'; expected a folder in diffusers' layout, a "
        + ".safetensors or .gguf file, or 'starter'"
    )
    #expect(error?.code == .fileMissing)
    let file = try folder.write([1], as: "x.safetensors")
    #expect(throws: ModelError.self) { try Checkpoint(folder: file) }
  }

  @Test(
    "An incomplete model is reported by the missing file",
    arguments: [
      "model_index.json", "unet/config.json", "text_encoder/config.json", "vae/config.json",
      "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
      "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
      "vae/diffusion_pytorch_model.safetensors",
    ])
  func half(file: String) throws {
    try FileManager.default.removeItem(atPath: "\(model)/\(file)")
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: model) }
    #expect(error?.code == .fileMissing)
    let part =
      file.hasSuffix("safetensors")
      ? URL(filePath: file).deletingLastPathComponent().relativePath : file
    let named = file == "tokenizer/vocab.json" ? "tokenizer/tokenizer.json" : part
    #expect(error?.message.contains(named) == true, "\(error?.message ?? "")")
  }

  @Test(
    "A Git LFS pointer in the place of a model's text file is named, with the remedy",
    arguments: [
      "model_index.json", "unet/config.json", "text_encoder/config.json", "vae/config.json",
      "scheduler/scheduler_config.json", "streamflow.json", "tokenizer/vocab.json",
      "tokenizer/merges.txt",
    ])
  func pointers(file: String) throws {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    try Data(pointer.utf8).write(to: URL(filePath: "\(model)/\(file)"))
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: model) }
    #expect(error?.code == .fileInvalid)
    let message = error?.message ?? ""
    #expect(message.contains("\(file)' is a Git LFS pointer"), "\(message)")
    #expect(message.contains("`git lfs pull`"), "\(message)")
  }

  @Test(
    "An unsupported value is reported by file, key and value",
    arguments: [
      (
        "unet/config.json", "\"act_fn\": \"silu\"", "\"act_fn\": \"mish\"",
        "act_fn = \"mish\" is not supported; expected \"silu\" or \"swish\" or null"
      ),
      (
        "unet/config.json", "\"class_embed_type\": null", "\"class_embed_type\": \"timestep\"",
        "class_embed_type = \"timestep\""
      ),
      ("unet/config.json", "\"UpBlock2D\"", "\"AttnUpBlock2D\"", "up_block_types"),
      (
        "unet/config.json", "\"layers_per_block\": 2", "\"layers_per_block\": -2",
        "layers_per_block"
      ),
      (
        "unet/config.json", "\"cross_attention_dim\": 192", "\"cross_attention_dim\": 99",
        "the text encoder is 192 wide"
      ),
      (
        "unet/config.json", "\"norm_eps\": 1e-05", "\"norm_eps\": \"small\"",
        "norm_eps = \"small\" is not supported; expected a number"
      ),
      ("text_encoder/config.json", "quick_gelu", "relu", "hidden_act = \"relu\""),
      (
        "vae/config.json", "AutoencoderTiny", "AsymmetricAutoencoderKL",
        "_class_name = \"AsymmetricAutoencoderKL\" is not supported"
      ),
      (
        "vae/config.json", "\"latent_channels\": 4", "\"latent_channels\": 16",
        "the autoencoder has 16 latent channels, the network 4"
      ),
      (
        "scheduler/scheduler_config.json", "\"use_beta_sigmas\": false",
        "\"use_beta_sigmas\": true", "use_beta_sigmas = true"
      ),
      (
        "model_index.json", "StableDiffusionPipeline", "WanPipeline",
        "_class_name = \"WanPipeline\""
      ),
      ("streamflow.json", "\"steps\": 1", "\"stepps\": 1", "stepps = 1 is not supported"),
      ("model_index.json", "{", "[", "is not a JSON object"),
    ])
  func unsupported(file: String, old: String, new: String, expected: String) throws {
    try replace(old, with: new, in: file)
    #expect(message().contains(expected), "\(message())")
  }

  @Test("A schedule that is no flow's must be chosen")
  func schedule() throws {
    try replace(
      "FlowMatchEulerDiscreteScheduler", with: "PNDMScheduler",
      in: "scheduler/scheduler_config.json")
    let checkpoint = try Checkpoint(folder: model)
    var request = GenerationRequest(prompt: "x")
    let error = #expect(throws: ModelError.self) {
      try checkpoint.plan(for: request, width: 64, height: 64)
    }
    #expect(error?.message.contains("names PNDMScheduler, which is no schedule of a flow") == true)
    request.schedule = .piecewise(PiecewiseFlowSchedule())
    #expect(try checkpoint.plan(for: request, width: 64, height: 64).rows.count == 4)
    try replace("StableDiffusionPipeline", with: "RectifiedFlowPipeline", in: "model_index.json")
    request.schedule = .automatic
    let rows = try Checkpoint(folder: model).plan(for: request, width: 64, height: 64).rows
    #expect(rows.map(\.output) == [0.25, 0.25, 0.25, 0.25])
  }

  @Test("Incomplete weights are reported by the missing name")
  func weights() throws {
    let file = SafetensorsWriter.file([
      ("conv_in.weight", [64, 4, 3, 3], [Float](repeating: 0, count: 2304))
    ])
    _ = try folder.write(file, as: "model/unet/diffusion_pytorch_model.safetensors")
    let checkpoint = try Checkpoint(folder: model)
    let network = UNet(configuration: checkpoint.unet, weights: checkpoint.networkWeights.root)
    #expect {
      try network.graph(.init(rows: 1, height: 8, width: 8, tokens: 4))
    } throws: { "\($0)".hasPrefix("the weights have no 'time_embedding.linear_1.weight'") }
  }

  @Test(
    "A schedule without decreasing sigmas is an error, not a trap",
    arguments: [
      ("\"shift\": 1.0", "\"shift\": 1e17"), ("\"shift_terminal\": null", "\"shift_terminal\": 1"),
      ("\"shift_terminal\": null", "\"shift_terminal\": 2"),
      ("\"num_train_timesteps\": 1000", "\"num_train_timesteps\": 1"),
    ])
  func times(old: String, new: String) throws {
    try replace(old, with: new, in: "scheduler/scheduler_config.json")
    let checkpoint = try Checkpoint(folder: model)
    let error = #expect(throws: ModelError.self) {
      try checkpoint.plan(for: GenerationRequest(prompt: "x"), width: 64, height: 64)
    }
    #expect(error?.message.contains("give no sigmas that decrease from 1 to 0") == true)
  }

  @Test(
    "A decoder that gives NaN is an error with the seed, not a black square",
    arguments: [DecodeTiling.never, .pixels(24)])
  func darkness(tiling: DecodeTiling) async throws {
    let path = "\(model)/vae/diffusion_pytorch_model.safetensors"
    var bytes = Array(try Data(contentsOf: URL(filePath: path)))
    let length = bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    // Every weight of the autoencoder becomes a half-precision NaN.
    for index in stride(from: 8 + length, to: bytes.count - 1, by: 2) {
      (bytes[index], bytes[index + 1]) = (0x00, 0x7e)
    }
    _ = try folder.write(bytes, as: "model/vae/diffusion_pytorch_model.safetensors")
    var request = GenerationRequest(prompt: "fox")
    request.seed = 41
    var options = GeneratorOptions()
    options.decodeTiling = tiling
    let generator = try Generator(
      checkpoint: Checkpoint(folder: model), options: options, engines: .ofTests)
    let stream = try await generator.images(for: [request])
    let error = await #expect(throws: ModelError.self) {
      for try await _ in stream {}
    }
    #expect(error?.code == .notFinite)
    #expect(error?.message.hasPrefix("image 1 (seed 41) contains NaN") == true)
  }

  @Test("Insufficient memory is reported before anything is compiled")
  func memory() throws {
    let checkpoint = try Checkpoint.starter64()
    let small = MemoryEstimate(checkpoint, rows: 1, width: 64, height: 64)
    #expect(small.peakByteCount > 50_000_000 && small.peakByteCount < 200_000_000)
    try small.check(available: 300_000_000)
    let error = #expect(throws: ModelError.self) {
      try MemoryEstimate(checkpoint, rows: 8, width: 8192, height: 8192).check(
        available: 8_000_000_000)
    }
    #expect(error?.code == .memoryInsufficient)
    #expect(error?.message.contains("8.0 GB are free") == true)
    #expect((MemoryEstimate.availableByteCount() ?? 0) > 100_000_000)
  }
}
