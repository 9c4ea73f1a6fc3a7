internal import FlowCore
internal import FlowModels

/// What a live stream reuses of the inputs and images before.
///
/// Inputs are compared in cells of 8x8 pixels with the inputs in which each cell last changed
/// (`ChangeDetector`). With the default values nothing is reused, and every image is the one of its
/// input alone.
public struct LiveReuse: Equatable, Sendable {
  /// The change of the mean of a 4x4-pixel block that counts: a fraction of the full range, 0 to 1.
  ///
  /// It must exceed the noise of the camera. Cells beside a changed one count as changed.
  public var changeThreshold = 0.04
  /// Whether cells that did not change keep the pixels of the input in which they last did.
  ///
  /// An input without any change repeats the image, if all images have the same noise
  /// (``LiveSettings/SeedPolicy/fixed``).
  public var holdsStill = false
  /// The pixels around a change that the network sees; nil to run it on whole images.
  ///
  /// The network then runs on the smallest rectangle that holds the change, or the mask, with this
  /// margin: an image of three to six eighths of each side. What is more than half the margin from
  /// the change keeps the latents of the image before. An approximation: the network sees neither
  /// the rest of the image nor its size. Larger changes, the first image, and images whose engines
  /// are still being made are whole. It needs ``LiveSettings/SeedPolicy/fixed`` and no adapters.
  public var regionMargin: Int?
  /// The weight of the previous image's latents where the input did not change, 0 to less than 1.
  public var latentBlend = 0.0
  /// How much full motion lowers the strength, 0 to less than 1 (`MotionStrength`); StreamDiffusionV2
  /// takes 0.1.
  public var motionResponse = 0.0

  /// Creates settings that reuse nothing.
  public init() {}

  /// Whether inputs are compared.
  var comparesInputs: Bool { holdsStill || regionMargin != nil || latentBlend > 0 }

  /// Whether an image depends on those before it.
  var isActive: Bool { comparesInputs || motionResponse > 0 }

  /// Whether latents depend on those before them.
  var changesLatents: Bool { regionMargin != nil || latentBlend > 0 }

  /// Checks settings.
  func check(_ settings: LiveSettings) throws(ModelError) {
    func refused(_ message: String) -> ModelError {
      ModelError(code: .requestInvalid, message: message)
    }
    guard (0...1).contains(changeThreshold) else {
      throw refused("the change threshold is 0 to 1, got \(changeThreshold)")
    }
    for (name, value) in [
      ("weight of earlier latents", latentBlend), ("motion response", motionResponse),
    ]
    where !(value >= 0 && value < 1) {
      throw refused("the \(name) is 0 to less than 1, got \(value)")
    }
    guard let regionMargin else { return }
    guard (0...4096).contains(regionMargin) else {
      throw refused("the margin of a region is 0 to 4096 pixels, got \(regionMargin)")
    }
    guard settings.seedPolicy == .fixed else {
      throw refused(
        "a region of an image is reused, which needs the same noise for all images; set the seed "
          + "policy to fixed, or run the network on whole images")
    }
    guard settings.request.controls.isEmpty else {
      throw refused(
        "adapters read whole images, and the network is to run on a region; remove the adapters or "
          + "the region's margin")
    }
  }
}

extension PixelRegion {
  /// The rectangle with a margin on all sides, as far as an image extends.
  func grown(by margin: Int, within size: PixelSize) -> PixelRegion {
    let (left, top) = (max(x - margin, 0), max(y - margin, 0))
    return PixelRegion(
      x: left, y: top, width: min(x + width + margin, size.width) - left,
      height: min(y + height + margin, size.height) - top)
  }

  /// The part that lies within another rectangle, which this one touches.
  func intersection(_ other: PixelRegion) -> PixelRegion {
    let (left, top) = (max(x, other.x), max(y, other.y))
    return PixelRegion(
      x: left, y: top, width: max(min(x + width, other.x + other.width) - left, 0),
      height: max(min(y + height, other.y + other.height) - top, 0))
  }

  /// The smallest rectangle of latent pixels that holds this rectangle of pixels.
  func latent(factor: Int) -> PixelRegion {
    let (left, top) = (x / factor, y / factor)
    return PixelRegion(
      x: left, y: top, width: (x + width + factor - 1) / factor - left,
      height: (y + height + factor - 1) / factor - top)
  }
}

/// The part of an image that the network runs on, and the part of that which is taken over.
struct WorkRegion: Equatable, Sendable {
  /// What the network sees, in pixels: a multiple of the size's unit.
  let window: PixelRegion
  /// The part whose latents replace those of the image before, in latent pixels.
  let part: PixelRegion
  /// The window in latent pixels.
  let latentWindow: PixelRegion

  /// The size of the window.
  var size: PixelSize { PixelSize(width: window.width, height: window.height) }

  /// The eighths of the sides that a window has, so that few engines serve all changes.
  private static let eighths = 3...6

  /// - Parameters:
  ///   - changed: the rectangle that must be made.
  ///   - margin: the pixels around it that the network sees.
  ///   - size: the size of the image.
  ///   - unit: the positions and sides of windows are multiples of this.
  ///   - factor: the pixels of a latent pixel's side.
  /// - Returns: nil where a window would be more than six eighths of a side.
  init?(around changed: PixelRegion, margin: Int, in size: PixelSize, unit: Int, factor: Int) {
    let seen = changed.grown(by: margin, within: size)
    func side(_ whole: Int, _ eighths: Int) -> Int {
      max((whole * eighths / 8 + unit - 1) / unit * unit, unit)
    }
    // Positions are multiples of the unit too: a window that starts before what is seen.
    func start(_ first: Int, _ count: Int, _ side: Int, _ whole: Int) -> Int? {
      let start = min(max(first - (side - count) / 2, 0), whole - side) / unit * unit
      return start <= first && start + side >= first + count ? start : nil
    }
    for eighth in Self.eighths {
      let (width, height) = (side(size.width, eighth), side(size.height, eighth))
      guard width < size.width || height < size.height,
        let x = start(seen.x, seen.width, width, size.width),
        let y = start(seen.y, seen.height, height, size.height)
      else { continue }
      window = PixelRegion(x: x, y: y, width: width, height: height)
      latentWindow = window.latent(factor: factor)
      part = changed.grown(by: margin / 2, within: size).intersection(window).latent(factor: factor)
      return
    }
    return nil
  }
}
