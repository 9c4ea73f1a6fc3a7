public import ArgumentParser
internal import FlowEngine
internal import FlowModels
public import StreamFlow

/// Options that choose the upscaler.
struct UpscalerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The upscaler: a .safetensors file of Real-ESRGAN's or ESRGAN's networks, or lanczos, a filter \
      (default: the model's own if it has one, else lanczos).
      """, valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var upscaler: String?

  @Option(
    help: ArgumentHelp(
      """
      Another upscaler with the same layers and the fraction to blend in (0 to 1), such as the \
      denoising variant of realesr-general-x4v3.
      """, valueName: "file:weight"),
    completion: .file(extensions: ["safetensors"]))
  var upscalerBlend: UpscalerBlend?

  /// Whether the user named an upscaler.
  var isChosen: Bool { upscaler != nil || upscalerBlend != nil }

  func validate() throws {
    guard let upscalerBlend else { return }
    guard upscaler != nil, upscaler != "lanczos" else {
      throw ValidationError("--upscaler-blend needs a network; name it with --upscaler")
    }
    guard (0...1).contains(upscalerBlend.fraction) else {
      throw ValidationError(
        "the fraction of --upscaler-blend must be 0 to 1, got \(upscalerBlend.fraction)")
    }
  }

  /// Loads the upscaler that the user named; nil for each model's own.
  func chosen(on engines: EngineStore) async throws -> Upscaler? {
    isChosen ? try await upscaler(on: engines) : nil
  }

  /// Loads the upscaler: the chosen one, else that of a model.
  func upscaler(
    of checkpoint: Checkpoint? = nil, on engines: EngineStore
  ) async throws -> Upscaler {
    if upscaler == nil, let checkpoint { return try .upscaler(of: checkpoint, engines: engines) }
    guard let upscaler, upscaler != "lanczos" else { return .lanczos(on: engines) }
    return try await .load(upscaler, blend: upscalerBlend, engines: engines)
  }
}

/// Upscaling options of `generate`, `edit` and `video`.
struct UpscaleOptions: ParsableArguments {
  @Option(help: "Make the finished images 2 or 4 times as wide and as high.")
  var upscale: UpscaleFactor?

  @OptionGroup var network: UpscalerOptions

  /// The upscaling of a model's images, if any.
  func upscaling(of checkpoint: Checkpoint, on engines: EngineStore) async throws -> Upscaling? {
    guard let upscale else { return nil }
    return try Upscaling(
      await network.upscaler(of: checkpoint, on: engines), by: upscale.rawValue)
  }

  /// Refuses an upscaler that is not used.
  func check(isUsed: Bool = false) throws {
    guard !network.isChosen || upscale != nil || isUsed else {
      throw ValidationError("--upscaler is not used; add --upscale 2 or 4")
    }
  }
}

/// Options of a second pass (`generate`).
struct HiresOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Generate each image again, enlarged by this factor (above 1, up to 4), by image-to-image \
      with this denoising strength (default: 0.4).
      """, valueName: "scale[:strength]"))
  var hires: HiresArgument?

  @Option(help: "Number of steps of the second pass (default: that of the first).")
  var hiresSteps: Int?

  func validate() throws {
    if let hiresSteps {
      guard hires != nil else {
        throw ValidationError("--hires-steps needs --hires")
      }
      guard (1...1000).contains(hiresSteps) else {
        throw ValidationError("--hires-steps must be 1 to 1000, got \(hiresSteps)")
      }
    }
  }
}

extension HiresOptions {
  /// Takes the second pass of an imported image, if it had one.
  mutating func complete(from settings: GenerationSettings?) {
    guard let settings, let scale = settings.hiresScale, scale > 1, scale <= 4,
      let strength = settings.strength, strength > 0, strength <= 1
    else { return }
    hires = HiresArgument(scale: scale, strength: strength)
    hiresSteps = hiresSteps ?? settings.hiresStepCount
  }
}

/// A factor of 2 or 4.
enum UpscaleFactor: Int, CaseIterable, ExpressibleByArgument {
  case two = 2
  case four = 4

  static var allValueStrings: [String] { allCases.map { "\($0.rawValue)" } }

  init?(argument: String) {
    guard let number = Int(argument) else { return nil }
    self.init(rawValue: number)
  }

  var defaultValueDescription: String { "\(rawValue)" }
}

/// A scale and a strength, such as `2:0.4`.
struct HiresArgument: ExpressibleByArgument, Equatable {
  var scale: Double
  var strength: Double

  init(scale: Double, strength: Double) { (self.scale, self.strength) = (scale, strength) }

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
      .map { Double($0) }
    guard (1...2).contains(parts.count), let scale = parts[0], scale > 1, scale <= 4 else {
      return nil
    }
    self.init(scale: scale, strength: 0.4)
    guard parts.count == 2 else { return }
    guard let strength = parts[1], strength > 0, strength <= 1 else { return nil }
    self.strength = strength
  }
}

extension UpscalerBlend: ExpressibleByArgument {
  /// Reads `file:weight`.
  public init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"), colon > argument.startIndex,
      let fraction = Float(argument[argument.index(after: colon)...]), fraction.isFinite
    else { return nil }
    self.init(path: String(argument[..<colon]), fraction: fraction)
  }
}
