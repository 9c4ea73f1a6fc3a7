extension Latents {
  /// A rectangle of latent pixels, of every channel.
  ///
  /// - Precondition: the rectangle lies within the latents, whose shape is `[channels, height,
  ///   width]`.
  package func cropped(to region: PixelRegion) -> Latents {
    let (channels, height, width) = (shape[0], shape[1], shape[2])
    precondition(contains(region), "\(region) lies outside \(shape)")
    var scalars: [Float] = []
    scalars.reserveCapacity(channels * region.width * region.height)
    for channel in 0..<channels {
      for y in region.y..<region.y + region.height {
        let start = (channel * height + y) * width + region.x
        scalars += self.scalars[start..<start + region.width]
      }
    }
    return Latents(shape: [channels, region.height, region.width], scalars: scalars)
  }

  /// The latents with a part of others in the same place.
  ///
  /// - Parameters:
  ///   - part: the rectangle of these latents that is replaced.
  ///   - other: latents that cover another rectangle of them.
  ///   - region: the rectangle that they cover, which contains the part.
  /// - Precondition: both rectangles lie within the latents.
  package func replacing(
    _ part: PixelRegion, with other: Latents, covering region: PixelRegion
  ) -> Latents {
    let (channels, height, width) = (shape[0], shape[1], shape[2])
    precondition(contains(region) && contains(part), "\(part) of \(region) outside \(shape)")
    precondition(
      other.shape == [channels, region.height, region.width] && part.x >= region.x
        && part.y >= region.y && part.x + part.width <= region.x + region.width
        && part.y + part.height <= region.y + region.height,
      "\(other.shape) does not cover \(part) from \(region)")
    var result = self
    for channel in 0..<channels {
      for y in part.y..<part.y + part.height {
        let target = (channel * height + y) * width + part.x
        let source = (channel * region.height + y - region.y) * region.width + part.x - region.x
        for index in 0..<part.width {
          result.scalars[target + index] = other.scalars[source + index]
        }
      }
    }
    return result
  }

  /// The latents blended with earlier ones where an image did not change.
  ///
  /// - Parameters:
  ///   - earlier: latents of the same shape.
  ///   - weight: the weight of the earlier ones, 0 to 1.
  ///   - changed: the image's cells that changed, which are not blended; nil to blend all.
  ///   - factor: the pixels of a latent pixel's side.
  package func blended(
    with earlier: Latents, weight: Float, except changed: CellMap?, factor: Int
  ) -> Latents {
    precondition(earlier.shape == shape, "\(earlier.shape) and \(shape) differ")
    let (channels, height, width) = (shape[0], shape[1], shape[2])
    var result = self
    for y in 0..<height {
      for x in 0..<width {
        if let changed, changed[x * factor / CellMap.side, y * factor / CellMap.side] { continue }
        for channel in 0..<channels {
          let index = (channel * height + y) * width + x
          let (new, old) = (scalars[index], earlier.scalars[index])
          result.scalars[index] = new + weight * (old - new)
        }
      }
    }
    return result
  }

  private func contains(_ region: PixelRegion) -> Bool {
    region.x >= 0 && region.y >= 0 && region.x + region.width <= shape[2]
      && region.y + region.height <= shape[1]
  }
}
