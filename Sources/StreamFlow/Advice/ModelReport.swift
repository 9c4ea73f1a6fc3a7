internal import FlowCore
internal import FlowGraph
public import FlowModels

/// The components, sizes and defaults of a checkpoint.
public struct ModelReport: Encodable, Sendable {
  /// One network of a checkpoint.
  public struct Component: Encodable, Sendable {
    /// Its folder in the checkpoint.
    public let name: String
    /// Its class.
    public let architecture: String
    /// The number of parameters.
    public let parameters: Int
    /// The element types that the weights are stored in.
    public let types: [String]
    /// The bytes that the weights take on disk.
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
  /// The folder or file of the checkpoint.
  public let folder: String
  /// The pipeline family.
  public let family: String
  /// The schedule's class, as the checkpoint names it.
  public let schedule: String
  /// The default sampling schedule, as written on the command line.
  public let plan: String?
  /// The reason for that schedule.
  public let planReason: String
  /// The image width in pixels that the model was trained for.
  public let width: Int
  /// The image height in pixels that the model was trained for.
  public let height: Int
  /// The default number of steps.
  public let steps: Int
  /// The default guidance scale.
  public let guidanceScale: Float
  /// The networks.
  public let components: [Component]
  /// The estimated peak memory of compiling its engines, in bytes.
  public let memoryByteCount: Int
  /// A description of the prompts that it was trained on; nil if it takes any text.
  public let promptWords: String?
  /// The graphs that are compiled at its native size.
  public let engines: [String]

  /// Describes a checkpoint at its native size.
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
