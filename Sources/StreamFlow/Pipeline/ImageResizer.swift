public import FlowCore
internal import FlowModels

extension PixelImage {
  /// The image resampled to a size, as a generator resamples a source of another size.
  ///
  /// Lanczos with three lobes, widened for downsampling, as Pillow's `LANCZOS`. An image that has
  /// the size already is returned unchanged.
  ///
  /// - Parameters:
  ///   - width: the width in pixels.
  ///   - height: the height in pixels.
  ///   - fit: what is done if the aspect ratios differ.
  /// - Precondition: no side is 0.
  public func resampled(width: Int, height: Int, fit: ImageFit) -> PixelImage {
    precondition(
      self.width > 0 && self.height > 0 && width > 0 && height > 0,
      "cannot resample \(self.width)x\(self.height) to \(width)x\(height)")
    return ImageResizer(width: width, height: height)(self, fit: fit)
  }
}

/// Resamples images of any size to one size.
///
/// The vertical filter comes first, one row of the result at a time: besides the result, it needs
/// memory for one row of the source. The time is proportional to the source pixels within the
/// filter's support.
final class ImageResizer {
  private struct Key: Equatable {
    let width: Int
    let height: Int
    let fit: ImageFit
  }

  /// The filters for sources of one size.
  private struct Plan {
    let columns: [ImageFit.Taps]
    let rows: [ImageFit.Taps]
    /// The position of the image within the result.
    let target: (columns: Range<Int>, rows: Range<Int>)
    /// The range of source columns that is read.
    let sourceColumns: Range<Int>
  }

  private let width: Int
  private let height: Int
  /// A camera's frames have one size.
  private var last: (key: Key, plan: Plan)?

  init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// The image at this size.
  func callAsFunction(_ image: PixelImage, fit: ImageFit) -> PixelImage {
    guard image.width != width || image.height != height else { return image }
    let plan = plan(for: Key(width: image.width, height: image.height, fit: fit))
    var pixels = background(fit)
    var line = [Float](repeating: 0, count: 3 * plan.sourceColumns.count)
    for (taps, y) in zip(plan.rows, plan.target.rows) {
      Self.sum(
        taps, of: image.pixels, rowLength: 3 * image.width, from: 3 * plan.sourceColumns.lowerBound,
        into: &line)
      let start = 3 * (y * width + plan.target.columns.lowerBound)
      Self.sum(
        plan.columns, of: line, from: plan.sourceColumns.lowerBound, into: &pixels, at: start)
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  private func plan(for key: Key) -> Plan {
    if let last, last.key == key { return last.plan }
    let (columns, rows) = key.fit.extents(
      width: key.width, height: key.height, toWidth: width, toHeight: height)
    let taps = columns.taps(of: key.width)
    let left = taps.map(\.first).min() ?? 0
    let plan = Plan(
      columns: taps, rows: rows.taps(of: key.height), target: (columns.target, rows.target),
      sourceColumns: left..<(taps.map { $0.first + $0.weights.count }.max() ?? left))
    last = (key, plan)
    return plan
  }

  /// A result filled with the background color.
  private func background(_ fit: ImageFit) -> [UInt8] {
    let color = fit.background
    var pixels = [UInt8](repeating: color.red, count: 3 * width * height)
    guard fit.kind == .contain, color.green != color.red || color.blue != color.red else {
      return pixels
    }
    for pixel in 0..<width * height {
      (pixels[3 * pixel + 1], pixels[3 * pixel + 2]) = (color.green, color.blue)
    }
    return pixels
  }

  /// The weighted sum of source rows.
  private static func sum(
    _ taps: ImageFit.Taps, of pixels: [UInt8], rowLength: Int, from offset: Int,
    into line: inout [Float]
  ) {
    let count = line.count
    precondition((taps.first + taps.weights.count - 1) * rowLength + offset + count <= pixels.count)
    unsafe line.withUnsafeMutableBufferPointer { line in
      unsafe pixels.withUnsafeBufferPointer { pixels in
        guard let line = line.baseAddress, let pixels = pixels.baseAddress else {
          return
        }
        unsafe line.update(repeating: 0, count: count)
        for (number, weight) in taps.weights.enumerated() {
          let row = unsafe pixels + ((taps.first + number) * rowLength + offset)
          // A while loop is vectorized in optimized builds and fast enough in debug builds.
          var index = 0
          while index < count {
            unsafe line[index] += weight * Float(row[index])
            index += 1
          }
        }
      }
    }
  }

  /// The weighted sums of a line's columns, as pixels.
  private static func sum(
    _ taps: [ImageFit.Taps], of line: [Float], from left: Int, into pixels: inout [UInt8],
    at start: Int
  ) {
    precondition(start + 3 * taps.count <= pixels.count)
    unsafe line.withUnsafeBufferPointer { line in
      for (place, column) in taps.enumerated() {
        precondition(3 * (column.first - left + column.weights.count) <= line.count)
        guard var source = line.baseAddress else { return }
        unsafe source += 3 * (column.first - left)
        var (red, green, blue) = (Float(0), Float(0), Float(0))
        for weight in column.weights {
          unsafe red += weight * source[0]
          unsafe green += weight * source[1]
          unsafe blue += weight * source[2]
          unsafe source += 3
        }
        pixels[start + 3 * place] = byte(red)
        pixels[start + 3 * place + 1] = byte(green)
        pixels[start + 3 * place + 2] = byte(blue)
      }
    }
  }

  private static func byte(_ value: Float) -> UInt8 {
    UInt8(min(max(value, 0), 255).rounded(.toNearestOrEven))
  }
}
