internal import FlowCore
public import FlowModels
internal import Foundation

extension Checkpoint {
  /// The image size for inputs of an aspect ratio: about as many pixels as the model was trained
  /// for, in multiples that its autoencoder takes.
  ///
  /// - Parameters:
  ///   - inputWidth: the width of the inputs, in any unit.
  ///   - inputHeight: the height of the inputs, in the same unit.
  ///   - width: the width in pixels, if it is fixed.
  ///   - height: the height in pixels, if it is fixed. If only one of the two is fixed, the other
  ///     follows the aspect ratio.
  /// - Returns: a width and a height in pixels.
  /// - Precondition: the sizes of the inputs are positive.
  public func size(
    forInputsOf inputWidth: Int, by inputHeight: Int, width: Int? = nil, height: Int? = nil
  ) -> (width: Int, height: Int) {
    precondition(inputWidth > 0 && inputHeight > 0, "an aspect ratio needs positive sizes")
    let aspect = Double(inputWidth) / Double(inputHeight)
    let native = nativeSize
    let unit = sizeMultiple
    let area = Double(native.width * native.height)
    if let width, let height { return (width, height) }
    if let width { return (width, Self.nearest(Double(width) / aspect, unit: unit)) }
    if let height { return (Self.nearest(Double(height) * aspect, unit: unit), height) }
    var best = (width: native.width, height: native.height)
    var leastCost = Double.infinity
    let ideal = (width: (area * aspect).squareRoot(), height: (area / aspect).squareRoot())
    for column in -1...1 {
      for row in -1...1 {
        let candidate = (
          width: max(Self.nearest(ideal.width, unit: unit) + column * unit, unit),
          height: max(Self.nearest(ideal.height, unit: unit) + row * unit, unit)
        )
        let (columns, rows) = (Double(candidate.width), Double(candidate.height))
        // The aspect ratio matters more than the number of pixels.
        let cost = 4 * abs(log(columns / rows / aspect)) + abs(log(columns * rows / area))
        if cost < leastCost { (best, leastCost) = (candidate, cost) }
      }
    }
    return best
  }

  private static func nearest(_ extent: Double, unit: Int) -> Int {
    max(Int((min(extent, 16384) / Double(unit)).rounded()), 1) * unit
  }
}
