internal import FlowCore

extension RGBColor {
  /// Blends pixels over this color: `alpha * pixel + (1 - alpha) * color`, rounded.
  ///
  /// Blending uses the stored numbers, as in browsers and Pillow, instead of linear light.
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
