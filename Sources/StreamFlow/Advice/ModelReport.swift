internal import FlowCore
internal import FlowGraph
public import FlowModels

/// What a checkpoint is made of, in words and numbers.
public struct ModelReport: Encodable, Sendable {
  /// One of a checkpoint's networks.
  public struct Component: Encodable, Sendable {
    /// Its folder in the checkpoint.
    public let name: String
    /// Its class.
    public let architecture: String
    /// The number of its weights' elements.
    public let parameters: Int
    /// What the elements are stored as.
    public let types: [String]
    /// The bytes they take on disk.
    public let byteCount: Int

    init(_ component: FlowModels.Component) {
      let store = component.weights
      name = component.name.replacing("_encoder", with: "")
      architecture = component.architecture
      parameters = store.parameterCount
      types = Set(store.weights.values.map(\.typeName)).sorted()
      byteCount = store.byteCount
    }
  }

  /// The checkpoint's name.
  public let name: String
  /// Where it is.
  public let folder: String
  /// The pipeline it is of.
  public let family: String
  /// The schedule's class, as the checkpoint names it.
  public let schedule: String
  /// The default sampling schedule, as it is written on the command line.
  public let plan: String?
  /// Why it takes that.
  public let planReason: String
  /// The width of images in pixels that it was trained for.
  public let width: Int
  /// The height of images in pixels that it was trained for.
  public let height: Int
  /// The number of steps that suits it.
  public let steps: Int
  /// The guidance scale that suits it.
  public let guidanceScale: Float
  /// Its networks.
  public let components: [Component]
  /// The most memory that making its engines takes, about.
  public let memoryByteCount: Int
  /// What prompts it was trained on, in words; nothing where it takes any.
  public let promptWords: String?
  /// The graphs that would be compiled at its own size.
  public let engines: [String]

  /// Describes a checkpoint at its own size.
  public init(_ checkpoint: Checkpoint) {
    name = checkpoint.name
    folder = checkpoint.folder
    family = checkpoint.pipelineName
    schedule = checkpoint.schedulerName
    let size = checkpoint.nativeSize
    (width, height) = (size.width, size.height)
    let defaults = checkpoint.defaults()
    steps = defaults.stepCount
    guidanceScale = defaults.guidanceScale
    let finding = checkpoint.scheduleFinding
    (plan, planReason) = (finding.schedule?.description, finding.reason)
    components = checkpoint.components.map(Component.init)
    let factor = checkpoint.autoencoder.factor
    let (latentWidth, latentHeight) = (width / factor, height / factor)
    let rows = RowChoice.rows(
      latentPlaces: RowChoice.places(height: latentHeight, width: latentWidth, factor: factor))
    memoryByteCount =
      MemoryEstimate(checkpoint, rows: rows, width: width, height: height).peakByteCount
    promptWords = checkpoint.vocabulary.map {
      "\($0.subjects.count) things on \($0.backgrounds.count) backgrounds"
    }
    engines = [
      "text 1x\(checkpoint.tokenCount)",
      "\(checkpoint.name(of: .network)) \(rows)x\(latentHeight)x\(latentWidth)",
      "vae \(rows)x\(latentHeight)x\(latentWidth)",
    ]
  }
}
