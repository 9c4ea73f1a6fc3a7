public import FlowCore
public import FlowEngine
public import FlowModels

/// A model that generates images: the type to start with.
///
/// ```swift
/// let model = try await ImageModel.load("starter")
/// let image = try await model.image("a fox on a blue background", seed: 7)
/// ```
///
/// Images of any sizes and prompts may be requested at the same time. Those of one size are in
/// flight together, and all share the engines of the device. Each image is identical to the image
/// that it would be alone. A ``Generator`` does the same for one size, with more options;
/// ``LiveStream`` transforms a stream of images.
public actor ImageModel {
  /// The checkpoint: its defaults, native size and components.
  public nonisolated let checkpoint: Checkpoint
  /// The engines of its devices.
  public nonisolated let devices: [EngineStore]
  /// The parts that have another device.
  private let placement: DevicePlacement
  private let options: GeneratorOptions
  /// Those used last at the end.
  private var generators: [(size: PixelSize, generator: GeneratorPool)] = []

  /// The maximum number of sizes that have engines at once; the size used least recently is evicted
  /// first.
  public static let sizeLimit = 4

  /// Creates a model of a checkpoint.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: batch size, decoding; width and height apply to images without a size.
  ///   - engines: the engines of the device, which several models and live streams may share.
  public init(
    _ checkpoint: Checkpoint, options: GeneratorOptions = GeneratorOptions(),
    engines: EngineStore = .standard
  ) {
    self.init(checkpoint, options: options, devices: [engines])
  }

  /// Takes a model that was read, to run it on several devices.
  ///
  /// ```swift
  /// let names = try DeviceName.list(parsing: "cuda:0,cuda:1")
  /// let model = ImageModel(checkpoint, devices: names.map { EngineStore(device: $0) })
  /// ```
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: batch size of each device, decoding; width and height are those of images that
  ///     name none.
  ///   - devices: the engines of each device, at least one; see ``GeneratorPool``.
  ///   - placement: the parts of the model that have another device.
  public init(
    _ checkpoint: Checkpoint, options: GeneratorOptions = GeneratorOptions(),
    devices: [EngineStore], placement: DevicePlacement = DevicePlacement()
  ) {
    self.checkpoint = checkpoint
    self.options = options
    self.devices = devices
    self.placement = placement
  }

  /// Loads a model.
  ///
  /// - Parameters:
  ///   - name: `starter`, a folder in diffusers' layout or a `.safetensors` file, or the name of a
  ///     pulled model (`org/name`).
  ///   - autoencoder: the choice of autoencoder.
  ///   - options: batch size, decoding.
  ///   - engines: the engines of the device, which several models and live streams may share.
  /// - Throws: a `ModelError` that says what is missing or not supported.
  public static func load(
    _ name: String = "starter", autoencoder: AutoencoderChoice = .automatic,
    options: GeneratorOptions = GeneratorOptions(), engines: EngineStore = .standard
  ) async throws -> ImageModel {
    // Not on the caller's actor: reading the headers of large models takes time.
    let checkpoint = try await Task.detached {
      try Checkpoint.named(name, autoencoder: autoencoder)
    }.value
    return ImageModel(checkpoint, options: options, engines: engines)
  }

  /// Reads a model, to run it on several devices.
  ///
  /// - Parameters:
  ///   - name: as ``load(_:autoencoder:options:engines:)`` takes it.
  ///   - autoencoder: which autoencoder.
  ///   - options: batch size of each device, decoding.
  ///   - devices: the engines of each device, at least one.
  ///   - placement: the parts of the model that have another device.
  /// - Throws: a `ModelError` that says what is missing or not supported.
  public static func load(
    _ name: String = "starter", autoencoder: AutoencoderChoice = .automatic,
    options: GeneratorOptions = GeneratorOptions(), devices: [EngineStore],
    placement: DevicePlacement = DevicePlacement()
  ) async throws -> ImageModel {
    let model = try await load(name, autoencoder: autoencoder, options: options)
    return ImageModel(
      model.checkpoint, options: options, devices: devices, placement: placement)
  }

  /// The request of a prompt with the model's own step count, guidance and schedule.
  ///
  /// - Parameters:
  ///   - prompt: what the image shows.
  ///   - seed: the seed, of which the default noise reads 32 bits; nil for a random one.
  ///   - size: the size of the image; nil for the model's own.
  public nonisolated func request(
    _ prompt: String, seed: UInt64? = nil, size: PixelSize? = nil
  ) -> GenerationRequest {
    var request = checkpoint.request(prompt)
    request.seed = seed ?? request.seed
    request.size = size
    return request
  }

  /// Generates one image with the model's own step count, guidance and schedule.
  ///
  /// - Parameters:
  ///   - prompt: what the image shows.
  ///   - seed: the seed; nil for a random one.
  ///   - size: the size of the image; nil for the model's own.
  /// - Throws: `requestInvalid` for a size that the model cannot make, `memoryInsufficient`,
  ///   `notFinite`; an `EngineError`; `CancellationError`.
  public func image(
    _ prompt: String, seed: UInt64? = nil, size: PixelSize? = nil
  ) async throws -> PixelImage {
    let request = request(prompt, seed: seed, size: size)
    for try await update in images([request]) {
      switch update {
      case .finished(let image): return image.image
      case .failed(_, let error): throw error
      case .preparing, .stepped, .preview: continue
      }
    }
    throw CancellationError()
  }

  /// Generates images and reports their progress.
  ///
  /// ```swift
  /// for try await update in model.images([model.request("a fox"), model.request("a rocket")]) {
  ///   switch update {
  ///   case .preparing(let size): print("preparing \(size)")
  ///   case .stepped(let index, let step, let count): print("\(index): \(step) of \(count)")
  ///   case .preview(let index, let image): show(image, at: index)
  ///   case .finished(let image): save(image)
  ///   case .failed(let index, let error): print("\(index): \(error)")
  ///   }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - requests: the requests; those of one size are in flight together.
  ///   - previewCount: the number of previews of each image.
  public nonisolated func images(
    _ requests: [GenerationRequest], previewCount: Int = 0
  ) -> ImageUpdates {
    ImageUpdates(model: self, requests: requests, previewCount: previewCount)
  }

  /// Makes the engines of a size, so that the first image need not wait for them.
  ///
  /// - Parameter size: the size of the images; nil for the model's own.
  /// - Throws: as ``image(_:seed:size:)``.
  public func prepare(_ size: PixelSize? = nil) async throws {
    try await generator(of: size).prepare()
  }

  /// Releases all engines; images in flight are finished first.
  public func unload() { generators = [] }

  /// The sizes that have engines, the most recently used last.
  public var sizes: [PixelSize] { generators.map(\.size) }

  /// The size of an image without a size of its own.
  nonisolated func size(_ size: PixelSize?) -> PixelSize {
    let native = checkpoint.nativeSize
    return size
      ?? PixelSize(
        width: options.width ?? native.width, height: options.height ?? native.height)
  }

  /// The generator of a size.
  func generator(of size: PixelSize?) throws -> GeneratorPool {
    let size = self.size(size)
    if let index = generators.firstIndex(where: { $0.size == size }) {
      let known = generators.remove(at: index)
      generators.append(known)
      return known.generator
    }
    var options = options
    (options.width, options.height) = (size.width, size.height)
    let generator = try GeneratorPool(
      checkpoint: checkpoint, options: options, devices: devices, placement: placement)
    generators.append((size, generator))
    if generators.count > Self.sizeLimit { generators.removeFirst() }
    return generator
  }
}
