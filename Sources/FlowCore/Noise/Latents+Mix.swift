extension Latents {
  /// These latents interpolated with others on arcs.
  ///
  /// Each column of a channel is a vector of its own, as for the variation seed of AUTOMATIC1111's web
  /// UI, so that its images can be reproduced. Latents that have no rows and columns are one vector.
  ///
  /// - Parameters:
  ///   - other: latents of the same shape.
  ///   - fraction: 0 for these, 1 for the others.
  func mixed(with other: Latents, fraction: Double) -> Latents {
    guard shape.rank == 3 else {
      let mix = ArcMix(from: scalars.span, to: other.scalars.span, fraction: fraction)
      return Latents(
        shape: shape, scalars: scalars.indices.map { mix(scalars[$0], other.scalars[$0]) })
    }
    let (height, width) = (shape[1], shape[2])
    var result = scalars
    var (column, otherColumn) = (
      [Float](repeating: 0, count: height), [Float](repeating: 0, count: height)
    )
    for channel in 0..<shape[0] {
      for x in 0..<width {
        let start = channel * height * width + x
        for y in 0..<height {
          column[y] = scalars[start + y * width]
          otherColumn[y] = other.scalars[start + y * width]
        }
        let mix = ArcMix(from: column.span, to: otherColumn.span, fraction: fraction)
        for y in 0..<height { result[start + y * width] = mix(column[y], otherColumn[y]) }
      }
    }
    return Latents(shape: shape, scalars: result)
  }
}
