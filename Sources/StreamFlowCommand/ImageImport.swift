internal import ArgumentParser
internal import FlowEngine
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// The settings of the image named by `--from`.
struct ImageImport {
  let path: String
  let settings: GenerationSettings

  /// Fields that do not affect the image, or that are covered by other than the sampling options.
  private static let understood: Set<String> = [
    "steps", "sampler", "schedule", "schedule type", "cfg scale", "guidance", "delta", "seed",
    "size", "model", "rng", "spacing", "blend", "variation seed", "variation seed strength",
    "clip skip", "prompt syntax", "version", "model hash", "vae hash", "lora hashes", "ti hashes",
    "hashes", "user", "precision", "vae", "lora", "delta weights", "denoising strength", "fit",
    "fit background",
    "hires upscale", "hires steps", "hires upscaler", "postprocess upscale by",
    "postprocess upscaler", "eta noise seed delta", "ensd", "batch size", "batch pos",
    "created date", "references", "reference area", "reference hashes", "input hash", "mask hash",
    "skip layers", "transformer", "text encoder", "key downsampling",
  ]

  /// Reads the settings of a PNG or JPEG file.
  init(path: String) throws(MediaError) {
    self.path = path
    let metadata = try ImageMetadata(path: path)
    guard let text = metadata.parameters else {
      let keywords = metadata.texts.map(\.keyword)
      let found =
        keywords.isEmpty ? "" : " (it holds \(keywords.joined(separator: ", ")))"
      throw MediaError(
        code: .formatUnsupported,
        message: "'\(path)' holds no generation settings\(found); images of StreamFlow, "
          + "AUTOMATIC1111's web UI and stable-diffusion.cpp do")
    }
    settings = GenerationSettings(parsing: text)
  }

  /// Chooses the model that the image was generated with, unless the user named one.
  func complete(_ options: inout ModelOptions) throws {
    if case .automatic = options.vae {
      switch settings["VAE"] {
      case "full": options.vae = .full
      case "tiny": options.vae = .tiny
      default: break
      }
    }
    guard options.model == nil, let model = settings.model else { return }
    // A name, never a path: the author of the image must not choose which file is opened here.
    let isName = !model.contains("/") && model != "." && model != ".."
    for name in [model, "\(model).safetensors"] where isName {
      if (try? ModelLocation(name)) != nil {
        options.model = name
        return
      }
    }
    throw CommandFailure(
      "'\(path)' was made with the model '\(model)', which is neither here nor in "
        + "$STREAMFLOW_MODELS; name a model with --model", code: EX_NOINPUT)
  }

  /// Chooses the precision and the downsampling of keys that the image was generated with, unless
  /// the user chose them.
  ///
  /// StreamFlow's images name every precision but float32.
  func complete(_ options: inout DeviceOptions) {
    if options.keyDownsampling == nil,
      let factor = settings["Key downsampling"].flatMap({ Int($0) }),
      Checkpoint.keyDownsamplings.contains(factor)
    {
      options.keyDownsampling = factor
    }
    guard options.precision == nil else { return }
    if let name = settings["Precision"] {
      options.precision = PrecisionChoice(argument: name)
    } else if settings["Version"]?.hasPrefix("StreamFlow") == true {
      options.precision = .float(.float32)
    }
  }

  /// What the options cannot honor, in words.
  ///
  /// - Parameter controls: the inputs of the run's adapters.
  func problems(
    modelOptions: ModelOptions, upscaleOptions: UpscaleOptions, controls: [ControlInput]
  ) -> [String] {
    var problems: [String] = []
    let hashes = settings.fields.filter { $0.name.hasPrefix("Control hash") }.map(\.value)
    let given = controls.compactMap(\.inputHash)
    if !hashes.isEmpty, !given.isEmpty, given != hashes {
      problems.append(
        "the image was made with other control images than those of --control, or in another order")
    }
    if let upscaler = settings["Hires upscaler"], upscaler != "Lanczos",
      !Upscaler.isNameOfOwn(upscaler),
      !upscaleOptions.network.isChosen
    {
      problems.append(
        "the upscaler '\(upscaler)' of the second pass is not applied, the default is; choose it with "
          + "--upscaler")
    }
    if let factor = settings.upscaleFactor, upscaleOptions.upscale == nil {
      problems.append(
        "'\(path)' was upscaled by \(factor); --upscale \(factor) does so again")
    }
    if settings.strength != nil, settings["Hires upscale"] == nil {
      problems.append(
        "'\(path)' was made from another image, which it does not contain; starting from noise")
    }
    for (name, option, given) in [
      ("Transformer", "--transformer", modelOptions.transformer.map { [$0] } ?? []),
      ("Text encoder", "--text-encoder", modelOptions.textEncoders),
    ] where given.isEmpty {
      for value in settings.values(of: name) {
        problems.append("the file '\(value)' is not read; add it with \(option) FILE")
      }
    }
    for (name, option, given) in [
      ("LoRA", "--lora", modelOptions.loras),
      ("Delta weights", "--delta-weights", modelOptions.deltaWeights),
    ] where given.isEmpty {
      for value in settings.values(of: name) {
        problems.append("\(name) '\(value)' is not applied; add it with \(option) FILE:SCALE")
      }
    }
    if case .automatic = modelOptions.vae, let vae = settings["VAE"] {
      problems.append("the VAE '\(vae)' is not applied; choose it with --vae")
    }
    let unknown = settings.fields.map(\.name).filter {
      !Self.understood.contains($0.lowercased()) && !$0.hasPrefix("Control hash")
    }
    if !unknown.isEmpty {
      problems.append("not supported and ignored: \(unknown.joined(separator: ", "))")
    }
    return problems
  }
}
