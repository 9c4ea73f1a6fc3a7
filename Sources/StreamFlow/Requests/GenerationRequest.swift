public import FlowCore
public import FlowEngine
public import FlowModels

/// A request for one image.
public struct GenerationRequest: Equatable, Sendable {
  /// The prompt: what the image shows.
  public var prompt: String
  /// Other prompts that are blended into it.
  public var blend: PromptBlend?
  /// The negative prompt: what the image should not show; used with full guidance.
  public var negativePrompt = ""
  /// How both prompts are parsed.
  public var promptSyntax = PromptSyntax.weighted
  /// The seed of the noise.
  public var seed: UInt64 = 0
  /// Another seed whose noise is blended in.
  public var seedBlend: SeedBlend?
  /// The image to start from, if any.
  public var source: InputImage?
  /// Images that the network reads beside the one that it makes, for models that edit by
  /// instruction; each of any size (`Checkpoint.referenceLimit`).
  public var references: [PixelImage] = []
  /// The maximum number of pixels at which references are read, in their own aspect ratio; nil for
  /// the sizes of the model's training.
  ///
  /// A step reads every pixel of them, so smaller ones make it faster.
  public var referenceArea: Int?
  /// Hashes that identify the references in the settings of the image, one per reference, without
  /// spaces; if empty, only their number is recorded.
  public var referenceHashes: [String] = []
  /// How the source is edited by prompts; nil for image-to-image at the source's strength.
  public var editing: Editing?
  /// What the model's adapters read for it; an adapter that none names does nothing.
  public var controls: [ControlInput] = []
  /// The size of the image, or nil for the model's own or the generator's.
  public var size: PixelSize?
  /// The number of steps, 1 to 1000.
  public var stepCount = 4
  /// Classifier-free guidance.
  public var guidance = Guidance.none
  /// Guidance away from the network without some of its layers, in some of the steps; for models that
  /// have it (`Checkpoint.skippableLayerCount`).
  public var skipLayerGuidance: SkipLayerGuidance?
  /// The sampling schedule.
  public var schedule = ScheduleChoice.automatic
  /// The spacing of the noise levels of flow matching; nil for the model's own.
  public var spacing: FlowMatchingSchedule.Spacing?
  /// The solver of the ordinary differential equation.
  public var solver = Solver.euler
  /// The random number generator that the seed refers to.
  public var noiseSource = GaussianNoise.Source.cpu
  /// How many of the text encoders' last layers are skipped (clip skip); nil for the generator's
  /// own number.
  ///
  /// Encoders that skip another number than the generator's are loaded when they are needed.
  public var skippedTextLayers: Int?

  /// Creates a request with 4 steps and no guidance.
  public init(prompt: String) { self.prompt = prompt }
}

/// An edit of a request's source by prompts, without training.
///
/// ```swift
/// var request = model.request("a fox on a red background")
/// request.source = InputImage(image: image, strength: 0.8)
/// request.editing = Editing(.flowEdit(), sourcePrompt: "a fox on a blue background")
/// ```
public struct Editing: Hashable, Sendable {
  /// The method.
  public var method: EditingMethod
  /// What the input image shows.
  ///
  /// Methods that read no source prompt ignore it (`EditingMethod.readsSourcePrompt`).
  public var sourcePrompt: String

  /// Creates an edit.
  public init(_ method: EditingMethod, sourcePrompt: String = "") {
    self.method = method
    self.sourcePrompt = sourcePrompt
  }
}

extension GenerationRequest {
  /// The noise of its seeds.
  var noise: GaussianNoise {
    let noise = GaussianNoise(seed: seed, source: noiseSource)
    guard let seedBlend else { return noise }
    return GaussianNoise(
      mixing: noise, with: GaussianNoise(seed: seedBlend.seed, source: noiseSource),
      fraction: Double(seedBlend.fraction))
  }
}

/// A finished image.
public struct GeneratedImage: Sendable {
  /// The image.
  public let image: PixelImage
  /// The request.
  public let request: GenerationRequest
  /// The index of the request in its stream, from 0.
  public let index: Int
  /// What was done to it after the generator made it, as its settings say it.
  public internal(set) var finishing: [GenerationSettings.Field] = []
  /// The devices that it moved between, in their order; empty where it was made on one.
  public internal(set) var devices: [DeviceName] = []
}

/// Options of a generator.
public struct GeneratorOptions: Sendable {
  /// The width of images in pixels; nil for the checkpoint's own.
  public var width: Int?
  /// The height of images in pixels; nil for the checkpoint's own.
  public var height: Int?
  /// The maximum number of batch rows of a tick; nil for a default by the size of the image.
  public var rowCapacity: Int?
  /// The maximum number of rows of the network's engine; a tick of more rows runs in parts.
  ///
  /// Nil for as many as a tick has, or for one if a row of a large network uses the whole machine.
  public var engineRowCapacity: Int?
  /// The maximum number of images that are decoded together; nil for as many as a tick has rows.
  public var decodeRowCapacity: Int?
  /// How many of the text encoder's last layers are skipped (clip skip) for requests that name no
  /// number.
  public var skippedTextLayers = 0
  /// Whether images are decoded whole or in tiles.
  public var decodeTiling = DecodeTiling.automatic
  /// Whether engines of all row counts are made in advance, so that no tick waits for one.
  ///
  /// A large network has one engine in any case.
  public var preparesAllRows = false
  /// Whether the text encoders stay in memory beside the network.
  public var textResidency = TextResidency.automatic

  /// Creates the options that suit the checkpoint.
  public init() {}
}
