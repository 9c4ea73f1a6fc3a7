/// A color of 8-bit red, green and blue.
public struct RGBColor: Hashable, Sendable {
  /// The part of red.
  public var red: UInt8
  /// The part of green.
  public var green: UInt8
  /// The part of blue.
  public var blue: UInt8

  /// Creates a color from its parts.
  public init(red: UInt8, green: UInt8, blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  /// All parts at their most.
  public static let white = RGBColor(red: 255, green: 255, blue: 255)
  /// All parts at 0.
  public static let black = RGBColor(red: 0, green: 0, blue: 0)
}

extension RGBColor {
  /// Lays pixels over this color: `alpha * pixel + (1 - alpha) * color`, rounded.
  ///
  /// The sum is taken of the stored numbers, as browsers and Pillow do it, not of light.
  ///
  /// - Parameter pixels: red, green, blue and alpha of each pixel.
  /// - Returns: red, green and blue of each.
  func underlying(_ pixels: [UInt8]) -> [UInt8] {
    let count = pixels.count / 4
    let colors = [Int(red), Int(green), Int(blue)]
    var opaque = [UInt8](repeating: 0, count: 3 * count)
    let (source, color) = (pixels.span, colors.span)
    var target = opaque.mutableSpan
    for pixel in 0..<count {
      let alpha = Int(source[4 * pixel + 3])
      for channel in 0..<3 {
        let sum = alpha * Int(source[4 * pixel + channel]) + (255 - alpha) * color[channel]
        target[3 * pixel + channel] = UInt8((sum + 127) / 255)
      }
    }
    return opaque
  }
}
