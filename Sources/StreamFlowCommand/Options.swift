public import ArgumentParser
public import FlowCore
internal import FlowEngine
public import FlowModels
public import StreamFlow

/// Options that choose the model.
struct ModelOptions: ParsableArguments {
  @Option(
    name: [.short, .long],
    help: """
      The model: 'starter', a folder in diffusers' layout, a .safetensors or .gguf file, the name \
      of a model in the folder $STREAMFLOW_MODELS, or a pulled org/name (default: starter).
      """,
    completion: .file())
  var model: String?

  @Option(
    help: """
      The autoencoder: auto (the model's own), full, tiny (in vae_tiny/), or a folder or \
      .safetensors file of one: AutoencoderKL in diffusers' or the original names, or the decoder \
      of a tiny one (taesd, taesdxl, taesd3, taef1, taef2).
      """,
    completion: .file())
  var vae = AutoencoderChoice.automatic

  @Option(
    help: ArgumentHelp(
      """
      The transformer's weights from another file, .safetensors or .gguf, in the original names or \
      diffusers'; the model's folder has the rest.
      """, valueName: "file"), completion: .file(extensions: ["safetensors", "gguf"]))
  var transformer: String?

  @Option(
    name: .customLong("text-encoder"),
    help: ArgumentHelp(
      """
      A text encoder's weights from another file, .safetensors or .gguf: CLIP, T5 or Qwen3; repeat \
      for several.
      """, valueName: "file"), completion: .file(extensions: ["safetensors", "gguf"]))
  var textEncoders: [String] = []

  @Option(help: "Weight variant, a part of the weights' file names, such as fp16.")
  var variant: String?

  @Option(
    name: .customLong("lora"),
    help: ArgumentHelp(
      "A LoRA to apply, with its scale (default: 1); repeat for several.",
      valueName: "file[:scale]"),
    completion: .file())
  var loras: [WeightAddition] = []

  @Option(
    help: ArgumentHelp(
      "Delta weights to add to the network's weights, such as PeRFlow's; repeat for several.",
      valueName: "file[:scale]"),
    completion: .file())
  var deltaWeights: [WeightAddition] = []

  func checkpoint() throws -> Checkpoint {
    try Checkpoint.named(
      model ?? "starter", autoencoder: vae, variant: variant,
      files: ComponentFiles(network: transformer, textEncoders: textEncoders)
    ).applying(loras: loras, deltas: deltaWeights)
  }
}

extension WeightAddition: ExpressibleByArgument {
  /// Reads `file` or `file:scale`; other colons are part of the file's name.
  public init?(argument: String) {
    self.init(path: argument)
    if let colon = argument.lastIndex(of: ":"),
      let scale = Float(argument[argument.index(after: colon)...])
    {
      self.init(path: String(argument[..<colon]), scale: scale)
    }
    guard !path.isEmpty, scale.isFinite else { return nil }
  }
}

/// Options of compiling and running engines.
struct DeviceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The device, as `streamflow devices` lists them (default: CPU): GPU.1, cuda:0, or with the \
      runtime before it, as openvino:CPU; cpu:0-7 is some cores of the CPU. Several, separated by \
      commas, make images at the same time.
      """, valueName: "device[,device]"), transform: DeviceList.init(parsing:))
  var device: DeviceList?

  @Option(
    help: ArgumentHelp(
      """
      Where parts of the model are, such as text=CPU,network=cuda:0,decoder=CPU (default: all on \
      the device; for images, parts that do not fit in a GPU's own memory are on the CPU).
      """, valueName: "part=device[,...]"), transform: PlacementList.init(parsing:))
  var place: PlacementList?

  @Option(help: "Number of threads (default: all cores).")
  var threads: Int?

  @Option(
    help: """
      The precision: auto (bf16 on a CPU that multiplies it in hardware, f16 on a GPU or an NPU \
      that supports it, else f32); fast (int8 if the model has scales, auto for the rest); f32, \
      the same images on every machine; bf16 or f16; int8, if `streamflow quantize` has measured \
      the model's scales, as for the starter (default: $STREAMFLOW_PRECISION, else auto).
      """)
  var precision: PrecisionChoice?

  @Option(
    help: ArgumentHelp(
      "The scales for int8 (default: beside the model).", valueName: "file or folder"),
    completion: .file(extensions: ["json"]))
  var scales: String?

  @Option(
    help: ArgumentHelp(
      """
      The storage of matrices of the network and the text encoders in engines: \
      \(WeightForms.spellings); auto takes the first of f32, stored, int8 and int4 that fits into \
      memory.
      """, valueName: "form"))
  var weights: WeightForms = WeightForms()

  @Flag(name: .customLong("no-cache"), help: "Do not read or write the engine cache.")
  var ignoresCache = false

  @Option(
    help: ArgumentHelp(
      """
      Compute keys and values of Stable Diffusion's largest self-attention from every 2nd, 3rd or \
      4th row and column. Faster for large images, which differ from the model's own.
      """, valueName: "2-4"))
  var keyDownsampling: Int?

  func validate() throws {
    if let keyDownsampling, !Checkpoint.keyDownsamplings.contains(keyDownsampling) {
      throw ValidationError("--key-downsampling must be 2 to 4, got \(keyDownsampling)")
    }
    if let threads, !(1...4096).contains(threads) {
      throw ValidationError("--threads must be 1 to 4096, got \(threads)")
    }
    if device != nil, place?.network != nil {
      throw ValidationError("--device and --place network= are the same; leave one out")
    }
    let precision = try chosenPrecision
    if scales != nil, !precision.isInt8, precision != .fast {
      throw ValidationError("--scales needs --precision int8 or fast")
    }
  }

  /// The devices that were asked for, the network's.
  var devices: [DeviceName] { place?.network.map { [$0] } ?? device?.names ?? [.cpu] }

  /// The precision of the option, or else of the environment.
  var chosenPrecision: PrecisionChoice { get throws { try precision ?? .named() } }

  /// The floating-point precision of each device, and the reason.
  ///
  /// It is the same for all, since an image must not depend on the device that makes it.
  func precisions() throws -> [PrecisionFinding] {
    let choice = try chosenPrecision
    let found = try devices.map { device throws(EngineError) in try choice.finding(for: device) }
    guard Set(found.map(\.precision)).count > 1 else { return found }
    return found.map { _ in
      PrecisionFinding(.float32, reason: "the devices' fastest precisions differ")
    }
  }

  /// The engines of each device, persisted in the cache unless that is off.
  func engines() throws -> [EngineStore] {
    let cache = try cache
    return try zip(devices, precisions()).map { device, finding in
      EngineStore(
        device: device, options: EngineOptions(threadCount: threads, precision: finding.precision),
        cache: cache)
    }
  }

  /// The engines of parts that have a device of their own; the CPU takes others for which the
  /// network's devices have no memory.
  func placement() throws -> DevicePlacement {
    var placement = DevicePlacement()
    for (part, device) in place?.parts ?? [:] {
      placement[part] = try engines(of: device, try cache)
    }
    let memory = try devices.compactMap { device throws(EngineError) in
      let details = try device.details(among: EngineStore.backends)
      return details.hasOwnMemory ? details.memoryByteCount : nil
    }
    if let least = memory.min() {
      // In the CPU's own precision, whatever the GPU's is.
      let precision = try PrecisionChoice.automatic.finding(for: .cpu).precision
      placement.overflow = DevicePlacement.Overflow(
        memoryByteCount: least,
        device: EngineStore(
          device: .cpu, options: EngineOptions(threadCount: threads, precision: precision),
          cache: try cache))
    }
    return placement
  }

  private func engines(of device: DeviceName, _ cache: EngineCache?) throws -> EngineStore {
    let precision = try chosenPrecision.finding(for: device).precision
    return EngineStore(
      device: device, options: EngineOptions(threadCount: threads, precision: precision),
      cache: cache)
  }

  /// The model in the chosen precision.
  func applied(to checkpoint: Checkpoint) throws -> Checkpoint { try scaling(checkpoint) }

  /// Converts a model to the chosen precision.
  var scaling: @Sendable (Checkpoint) throws -> Checkpoint {
    let (precision, scales, weights) = (precision, scales, weights)
    let keyDownsampling = keyDownsampling
    return { checkpoint in
      let checkpoint = try keyDownsampling.map(checkpoint.downsamplingKeys) ?? checkpoint
      return try (precision ?? .named()).applied(to: checkpoint, scales: scales)
        .holdingWeights(weights, available: SystemMemory.availableByteCount)
    }
  }

  private var cache: EngineCache? {
    get throws { ignoresCache ? nil : try CacheCommand.cache { Terminal.warning($0) } }
  }
}

extension AutoencoderChoice: ExpressibleByArgument {
  /// Reads `auto`, `full`, `tiny`, or a path.
  public init?(argument: String) {
    self =
      switch argument {
      case "auto": .automatic
      case "full": .full
      case "tiny": .tiny
      default: .path(argument)
      }
  }

  /// The spelling on the command line.
  public var defaultValueDescription: String {
    switch self {
    case .automatic: "auto"
    case .full: "full"
    case .tiny: "tiny"
    case .path(let path): path
    }
  }
}

extension DecodeTiling: ExpressibleByArgument {
  /// Reads `auto`, `off`, or pixels.
  public init?(argument: String) {
    switch argument {
    case "auto": self = .automatic
    case "off": self = .never
    default:
      guard let side = Int(argument), side >= Self.smallestTile else { return nil }
      self = .pixels(side)
    }
  }

  /// The spelling on the command line.
  public var defaultValueDescription: String {
    switch self {
    case .automatic: "auto"
    case .never: "off"
    case .pixels(let side): "\(side)"
    }
  }
}

extension PromptSyntax: ExpressibleByArgument {}

extension WeightForms: ExpressibleByArgument {
  /// The spelling on the command line.
  public var defaultValueDescription: String { description }
}
extension Solver: ExpressibleByArgument {}

extension SkipLayerGuidance: ExpressibleByArgument {}
extension FlowMatchingSchedule.Spacing: ExpressibleByArgument {}
extension GaussianNoise.Source: ExpressibleByArgument {}

extension ScheduleChoice: ExpressibleByArgument {
  /// The spelling on the command line.
  public var defaultValueDescription: String { description }
}

extension Guidance.Kind: ExpressibleByArgument {}
