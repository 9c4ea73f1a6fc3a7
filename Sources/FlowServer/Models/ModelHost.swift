internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Logging
internal import StreamFlow

/// An offered model: loaded on first use, with a generator for each size in use.
///
/// Requests of one size share a generator, and thus a stream batch. All generators and live streams
/// of the server share the device's queue.
actor ModelHost {
  /// The state of a model.
  enum State: Equatable {
    case unloaded
    case loading
    case ready
    case failed(String)

    /// The name of the state.
    var name: String {
      switch self {
      case .unloaded: "unloaded"
      case .loading: "loading"
      case .ready: "ready"
      case .failed: "failed"
      }
    }
  }

  nonisolated let name: String
  private let load: @Sendable () throws -> Checkpoint
  private let options: ServerOptions
  private let preparations: PreparationQueue
  private let logger: Logger
  private(set) var state = State.unloaded
  private var loading: Task<Checkpoint, any Error>?
  /// The logged failure, so that each is logged once.
  private var loggedFailure: String?
  private(set) var checkpoint: Checkpoint?
  /// How many times larger the model's own upscaler makes its images; nil if it has none, or the
  /// server uses another.
  private(set) var upscale: Int?
  /// The generators, most recently used last.
  private var generators: [(size: PixelSize, generator: GeneratorPool)] = []
  private var preparing: [PixelSize: Task<GeneratorPool, any Error>] = [:]
  /// The upscaler, once a request has used it.
  private var upscaler: Upscaler?
  /// The number of requests that currently use the model.
  private(set) var useCount = 0
  private(set) var lastUse = ContinuousClock.now

  /// Maximum number of sizes with engines at a time.
  private static let sizeLimit = 4

  init(
    _ model: ServedModel, options: ServerOptions, preparations: PreparationQueue, logger: Logger
  ) {
    self.preparations = preparations
    name = model.name
    load = model.load
    self.options = options
    self.logger = logger
  }

  /// The model, loaded if necessary.
  ///
  /// - Throws: errors for clients; the reason is logged once.
  func loaded() async throws -> Checkpoint {
    do { return try await read() } catch is CancellationError { throw CancellationError() } catch {
      logFailure("\(error)")
      throw ServerError(loading: error)
    }
  }

  /// The same, for callers that report failures.
  func read() async throws -> Checkpoint {
    if let checkpoint { return checkpoint }
    if let loading { return try await loading.value }
    state = .loading
    let load = load
    let task = Task.detached { try load() }
    loading = task
    defer { loading = nil }
    do {
      let checkpoint = try await task.value
      self.checkpoint = checkpoint
      upscale = options.upscaler == nil ? Upscaler.ownFactor(of: checkpoint) : nil
      state = .ready
      logger.info("model read", metadata: ["model": "\(name)"])
      return checkpoint
    } catch {
      state = .failed("\(error)")
      throw error
    }
  }

  /// Logs why the model cannot be loaded, unless that was logged before.
  func logFailure(_ message: String) {
    guard message != loggedFailure else { return }
    loggedFailure = message
    logger.error("model cannot be read", metadata: ["model": "\(name)", "error": "\(message)"])
  }

  /// The generator for a size, with prepared engines; nil means the model's own size.
  func generator(_ size: PixelSize?) async throws -> GeneratorPool {
    let checkpoint = try await loaded()
    let size = size ?? native(checkpoint)
    lastUse = .now
    if let index = generators.firstIndex(where: { $0.size == size }) {
      let known = generators.remove(at: index)
      generators.append(known)
      return known.generator
    }
    if let task = preparing[size] { return try await task.value }
    try preparations.checkRoom()
    var settings = GeneratorOptions()
    (settings.width, settings.height) = (size.width, size.height)
    settings.rowCapacity = options.rowCapacity
    settings.preparesAllRows = true
    let generator = try GeneratorPool(
      checkpoint: checkpoint, options: settings, devices: options.devices,
      placement: options.placement)
    let task = Task { [preparations] in
      try await preparations.run { try await generator.prepare() }
      return generator
    }
    preparing[size] = task
    defer { preparing[size] = nil }
    let made = try await task.value
    generators.append((size, made))
    if generators.count > Self.sizeLimit { generators.removeFirst() }
    var facts: Logger.Metadata = ["model": "\(name)", "size": "\(size)"]
    for part in made.placement.parts {
      facts[part.rawValue] = "\(made.placement[part]?.device ?? .cpu)"
    }
    logger.info("engines ready", metadata: facts)
    return made
  }

  /// Whether its upscaler is there without loading the model.
  var hasUpscaler: Bool { options.upscaler != nil || checkpoint != nil }

  /// The upscaler of its images: the server's if one was chosen, else the model's own.
  func upscaler() async throws -> Upscaler {
    if let chosen = options.upscaler ?? upscaler { return chosen }
    let made = try Upscaler.upscaler(of: try await loaded(), engines: options.devices[0])
    upscaler = made
    return made
  }

  /// Counts a request that starts to use the model.
  func beginUse() {
    useCount += 1
    lastUse = .now
  }

  /// Counts a request that no longer uses the model.
  func endUse() {
    useCount -= 1
    lastUse = .now
  }

  /// Unloads the model if it is unused; images in flight are finished first.
  func unload() -> Bool {
    guard useCount == 0, loading == nil, preparing.isEmpty, checkpoint != nil else { return false }
    checkpoint = nil
    upscaler = nil
    generators = []
    state = .unloaded
    logger.info("model unloaded", metadata: ["model": "\(name)"])
    return true
  }

  private func native(_ checkpoint: Checkpoint) -> PixelSize {
    options.limits.defaultSize(of: checkpoint)
  }

  /// The approximate bytes in memory: the weights in the engines' form, once for each size.
  var byteCount: Int {
    guard let checkpoint else { return 0 }
    return checkpoint.engineByteCount * Set(generators.map(\.size)).union(preparing.keys).count
  }

  /// The approximate bytes with engines of one more size; loads the model.
  func byteCount(with size: PixelSize?) async throws -> Int {
    let checkpoint = try await loaded()
    let sizes = Set(generators.map(\.size)).union(preparing.keys)
    return checkpoint.engineByteCount * sizes.union([size ?? native(checkpoint)]).count
  }

  /// The existing generators.
  var batches: [(size: PixelSize, generator: GeneratorPool)] { generators }
}
