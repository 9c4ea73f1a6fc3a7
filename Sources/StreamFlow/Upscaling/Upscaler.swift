public import FlowCore
public import FlowEngine
public import FlowModels

/// Enlarges images, with a network (such as Real-ESRGAN) or with Lanczos' filter.
///
/// ```swift
/// let upscaler = try await Upscaler.load("realesr-general-x4v3.safetensors")
/// let larger = try await upscaler.upscale(image, by: 4)
/// ```
///
/// Images of any size are split into tiles of one shape that an engine of moderate size runs.
/// Compact networks give the same pixels as for the whole image. In dense networks (RRDBNet),
/// pixels depend slightly on others that are hundreds of pixels away; a tile has a margin of 32.
public actor Upscaler {
  /// The file's name without its extension; `Lanczos` without a network.
  public nonisolated let name: String
  /// The network's configuration; nil without a network.
  public nonisolated var configuration: UpscalerConfiguration? { file?.configuration }

  nonisolated let file: UpscalerFile?
  nonisolated let provider: EngineProvider
  /// The text of ``fingerprint()``, once computed.
  var knownFingerprint: String?
  /// The least time of a pixel of the images so far, without the preparation of engines.
  private(set) var pixelTime: Duration?
  /// In order of use, the most recent last.
  private var prepared: [TiledUpscaler] = []

  /// The supported ratios of sizes.
  public static let factors = [2, 4]

  /// The maximum number of image sizes that have engines at once.
  private static let sizeLimit = 4

  /// The thread of its device.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe provider.store.queue.asUnownedSerialExecutor()
  }

  private init(name: String, file: UpscalerFile?, engines: EngineStore) {
    (self.name, self.file) = (name, file)
    provider = EngineProvider(engines)
  }

  /// An upscaler without a network: Lanczos' filter with three lobes, as Pillow's `LANCZOS`.
  ///
  /// - Parameter engines: engines whose thread it runs on.
  public static func lanczos(on engines: EngineStore = .standard) -> Upscaler {
    Upscaler(name: "Lanczos", file: nil, engines: engines)
  }

  /// Loads an upscaler.
  ///
  /// - Parameters:
  ///   - path: a `.safetensors` file of `SRVGGNetCompact` or `RRDBNet`, in the names of BasicSR,
  ///     BSRGAN or the first ESRGAN.
  ///   - blend: another network with the same layers to interpolate with.
  ///   - engines: the engines of the device.
  /// - Throws: a `ModelError` or a `GraphError` that says what the file is and what was expected.
  public static func load(
    _ path: String, blend: UpscalerBlend? = nil, engines: EngineStore = .standard
  ) async throws -> Upscaler {
    var file = try UpscalerFile(path: path)
    var name = file.name
    if let blend {
      let other = try UpscalerFile(path: blend.path)
      file = try file.interpolated(with: other, fraction: blend.fraction)
      name += " + \(other.name):\(blend.fraction)"
    }
    return Upscaler(name: name, file: file, engines: engines)
  }

  /// The upscaler of a model's images: the model's own if its folder contains one, else Lanczos'
  /// filter.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - engines: the engines of the device.
  /// - Throws: as ``load(_:blend:engines:)``.
  public static func upscaler(
    of checkpoint: Checkpoint, engines: EngineStore = .standard
  ) throws -> Upscaler {
    guard let path = checkpoint.upscalerPath else { return .lanczos(on: engines) }
    return Upscaler(
      name: name(of: checkpoint), file: try UpscalerFile(path: path), engines: engines)
  }

  /// The factor of a model's own upscaler, 2 or 4; nil for a model without one, and for a file that
  /// cannot be read.
  package static func ownFactor(of checkpoint: Checkpoint) -> Int? {
    guard let path = checkpoint.upscalerPath, let file = try? UpscalerFile(path: path) else {
      return nil
    }
    return factors.contains(file.configuration.factor) ? file.configuration.factor : nil
  }

  /// The name of a model's own upscaler.
  private static func name(of checkpoint: Checkpoint) -> String {
    "\(checkpoint.name)\(ownSuffix)"
  }

  private static let ownSuffix = " upscaler"

  /// Whether a name in an image's settings is that of a model's own upscaler.
  package static func isNameOfOwn(_ name: String) -> Bool { name.hasSuffix(ownSuffix) }

  /// Checks that it supports a factor.
  ///
  /// A network supports the factor that it was trained for, and half of it.
  ///
  /// - Throws: `requestInvalid`.
  public nonisolated func check(factor: Int) throws(ModelError) {
    guard Self.factors.contains(factor) else {
      throw ModelError(
        code: .requestInvalid, message: "images become 2 or 4 times as large, got \(factor)")
    }
    if let configuration, !configuration.makes(factor) {
      let own = configuration.factor
      let possible = Self.factors.filter(configuration.makes).map(String.init)
      throw ModelError(
        code: .requestInvalid,
        message: "'\(name)' makes images \(own) times as large, and \(factor) was requested; "
          + (possible.isEmpty
            ? "choose another upscaler"
            : "ask for \(possible.joined(separator: " or ")), or choose another upscaler"),
        settings: [.upscaler])
    }
  }

  /// The image with sides multiplied by a factor.
  ///
  /// - Parameters:
  ///   - image: the image.
  ///   - factor: 2 or 4.
  /// - Throws: `requestInvalid` for a factor that the network does not support,
  ///   `memoryInsufficient`, `notFinite`; an `EngineError`.
  public func upscale(_ image: PixelImage, by factor: Int) async throws -> PixelImage {
    try check(factor: factor)
    try Self.checkSize(of: image, by: factor)
    guard let file else {
      return LanczosEnlargement(
        size: PixelSize(width: image.width * factor, height: image.height * factor))(image)
    }
    let tiled = try await tiled(
      file, size: PixelSize(width: image.width, height: image.height), factor: factor)
    let start = ContinuousClock.now
    let larger = try tiled.upscale(image)
    let time = (ContinuousClock.now - start) / (image.width * image.height)
    pixelTime = min(pixelTime ?? time, time)
    guard let larger else {
      throw ModelError(
        code: .notFinite,
        message: "the upscaler '\(name)' made NaN or infinity of an image of "
          + "\(image.width)x\(image.height); choose another upscaler, or precision f32",
        settings: [.upscaler])
    }
    return larger
  }

  private func tiled(
    _ file: UpscalerFile, size: PixelSize, factor: Int
  ) async throws -> TiledUpscaler {
    if let index = prepared.firstIndex(where: { $0.size == size && $0.factor == factor }) {
      let known = prepared.remove(at: index)
      prepared.append(known)
      return known
    }
    let made = try await TiledUpscaler.make(file, size: size, factor: factor, provider: provider)
    prepared.append(made)
    if prepared.count > Self.sizeLimit { prepared.removeFirst() }
    return made
  }

  /// Refuses an image whose result is too large for files or memory.
  static func checkSize(of image: PixelImage, by factor: Int) throws(ModelError) {
    let side = 65535
    guard image.width > 0, image.height > 0, image.width * factor <= side,
      image.height * factor <= side
    else {
      throw ModelError(
        code: .requestInvalid,
        message:
          "an image of \(image.width)x\(image.height) cannot become \(factor) times as large: "
          + "a side has 1 to \(side) pixels")
    }
    // Twice: besides the result there is its file, or the mirrored image.
    let need = 2 * 3 * image.width * image.height * factor * factor
    guard let available = MemoryEstimate.availableByteCount(), need > available else { return }
    throw ModelError(
      code: .memoryInsufficient,
      message: "an image of \(image.width * factor)x\(image.height * factor) takes about "
        + "\(need / 1_000_000) MB of memory, and \(available / 1_000_000) MB are free; make it "
        + "less large, or free some memory")
  }
}

/// Another network with the same layers to interpolate with.
///
/// Such are the two denoising variants of `realesr-general-x4v3`: a greater fraction of
/// `realesr-general-wdn-x4v3` removes less noise.
public struct UpscalerBlend: Hashable, Sendable {
  /// The other network's file.
  public var path: String
  /// The fraction of the other network, 0 to 1.
  public var fraction: Float

  /// Creates a blend.
  public init(path: String, fraction: Float) {
    (self.path, self.fraction) = (path, fraction)
  }
}
