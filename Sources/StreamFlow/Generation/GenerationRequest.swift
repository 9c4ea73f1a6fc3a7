public import FlowCore
public import FlowModels

/// One image to be made.
public struct GenerationRequest: Equatable, Sendable {
  /// What the image shows.
  public var prompt: String
  /// Other prompts that are mixed into it.
  public var blend: PromptBlend?
  /// What it shows not; used where guidance is full.
  public var negativePrompt = ""
  /// How both prompts are read.
  public var promptSyntax = PromptSyntax.weighted
  /// The seed of its noise.
  public var seed: UInt64 = 0
  /// Another seed whose noise is mixed into it.
  public var seedBlend: SeedBlend?
  /// The image that it starts from, if any.
  public var source: InputImage?
  /// How the source is edited by prompts; nil for image-to-image at the source's strength.
  public var editing: Editing?
  /// The size of the image, or nil for the model's own or the generator's.
  public var size: PixelSize?
  /// The number of steps that are taken, 1 to 1000.
  public var stepCount = 4
  /// How strongly the prompt steers.
  public var guidance = Guidance.none
  /// The sampling schedule.
  public var schedule = ScheduleChoice.automatic
  /// The layout of the times of flow matching; nil for the model's own.
  public var spacing: FlowMatchingSchedule.Spacing?
  /// How the velocity is followed.
  public var solver = Solver.euler
  /// Whose random numbers the seed names.
  public var noiseSource = GaussianNoise.Source.cpu

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
  /// What the input image shows. Methods that read no source prompt ignore it
  /// (`EditingMethod.readsSourcePrompt`).
  public var sourcePrompt: String

  /// Creates an edit.
  public init(_ method: EditingMethod, sourcePrompt: String = "") {
    self.method = method
    self.sourcePrompt = sourcePrompt
  }
}

extension GenerationRequest {
  /// The noise that its seeds name.
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
  /// What asked for it.
  public let request: GenerationRequest
  /// Which of the stream's requests that was, from 0.
  public let index: Int
  /// What was done to it after the generator made it, as its settings say it.
  public internal(set) var finishing: [GenerationSettings.Field] = []
}

/// How a generator is set up.
public struct GeneratorOptions: Sendable {
  /// The width of images in pixels; the checkpoint's own where nothing is said.
  public var width: Int?
  /// The height of images in pixels; the checkpoint's own where nothing is said.
  public var height: Int?
  /// The most rows of a tick; by the size of the image where nothing is said.
  public var rowCapacity: Int?
  /// The most rows that the network's engine runs together, where a tick of more runs in parts.
  ///
  /// As many as a tick has where nothing is said, or one where a row of a large network fills the
  /// machine.
  public var engineRowCapacity: Int?
  /// The most images that are decoded together; as many as a tick has rows where nothing is said.
  public var decodeRowCapacity: Int?
  /// How many of the text encoder's last layers are left out (clip skip).
  public var skippedTextLayers = 0
  /// Whether images are decoded whole or in tiles.
  public var decodeTiling = DecodeTiling.automatic
  /// Whether engines of all row counts are made at once, so that no tick has to wait for one; of a
  /// large network there is one in any case.
  public var preparesAllRows = false
  /// Whether the text encoders stay in memory beside the network.
  public var textResidency = TextResidency.automatic

  /// Creates the options that suit the checkpoint.
  public init() {}
}
