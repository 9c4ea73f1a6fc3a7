internal import FlowCore

/// The configuration of an upscaler, read from the shapes of its weights.
public struct UpscalerConfiguration: Equatable, Sendable {
  /// The kind of network.
  package enum Kind: Equatable, Sendable {
    /// The compact networks of Real-ESRGAN: realesr-general, realesr-animevideo.
    case compact(SRVGGNetConfiguration)
    /// The networks of ESRGAN and Real-ESRGAN, such as RealESRGAN_x4plus.
    case dense(RRDBNetConfiguration)
  }

  package let kind: Kind

  init(_ kind: Kind) { self.kind = kind }

  /// The ratio of the output's sides to the input's.
  public var factor: Int {
    switch kind {
    case .compact(let configuration): configuration.factor
    case .dense(let configuration): configuration.factor
    }
  }

  /// The class in BasicSR.
  public var className: String {
    switch kind {
    case .compact: "SRVGGNetCompact"
    case .dense: "RRDBNet"
    }
  }

  /// The receptive field of an output pixel, in input pixels to each side.
  package var reach: Int {
    switch kind {
    case .compact(let configuration): configuration.reach
    case .dense(let configuration): configuration.reach
    }
  }

  /// The sides of an input must be multiples of this.
  package var alignment: Int {
    switch kind {
    case .compact: 1
    case .dense(let configuration): configuration.unshuffling
    }
  }

  /// The approximate number of floating-point operations per input pixel: two for each weight, at
  /// the resolution of most layers.
  ///
  /// The last layers of a dense network run at higher resolutions.
  package var operationsPerPixel: Double {
    2 * shapes.values.reduce(0) { $0 + Double($1.elementCount) } / Double(alignment * alignment)
  }

  /// The bytes per input pixel of the widest float32 tensor.
  package var widestByteCount: Int {
    switch kind {
    case .compact(let configuration):
      4 * max(configuration.features, 3 * configuration.factor * configuration.factor)
    case .dense(let configuration): 4 * configuration.features * factor * factor
    }
  }

  /// The extents of all weights by name.
  var shapes: [String: Shape] {
    switch kind {
    case .compact(let configuration): configuration.shapes
    case .dense(let configuration): configuration.shapes
    }
  }
}

/// The extents of a `SRVGGNetCompact`.
package struct SRVGGNetConfiguration: Equatable, Sendable {
  /// The channels between the convolutions.
  let features: Int
  /// The number of convolutions, the first and the last included.
  let convolutionCount: Int
  let factor: Int

  /// Each convolution extends the receptive field by a pixel.
  var reach: Int { convolutionCount }

  var shapes: [String: Shape] {
    var shapes: [String: Shape] = [:]
    for index in 0..<convolutionCount {
      let isLast = index == convolutionCount - 1
      let outputs = isLast ? 3 * factor * factor : features
      shapes["body.\(2 * index).weight"] = [outputs, index == 0 ? 3 : features, 3, 3]
      shapes["body.\(2 * index).bias"] = [outputs]
      if !isLast { shapes["body.\(2 * index + 1).weight"] = [features] }
    }
    return shapes
  }
}

/// The extents of an `RRDBNet`.
package struct RRDBNetConfiguration: Equatable, Sendable {
  /// The channels between the blocks.
  let features: Int
  /// The channels that each convolution of a dense block adds.
  let growth: Int
  let blockCount: Int
  /// The number of times that the blocks' output is doubled in size.
  let doublings: Int
  /// The side in pixels of a pixel unshuffle before the first convolution; 1 for none.
  let unshuffling: Int

  /// The convolutions of a dense block.
  static let blockConvolutions = 1...5
  /// The dense blocks of a block.
  static let denseBlocks = 1...3

  var factor: Int { (1 << doublings) / unshuffling }

  /// Fifteen convolutions of each block, one before and one after all of them; those after the
  /// doublings add less than two pixels.
  var reach: Int { unshuffling * (15 * blockCount + 4) }

  var shapes: [String: Shape] {
    var shapes: [String: Shape] = [:]
    func add(_ name: String, _ inputs: Int, _ outputs: Int) {
      shapes["\(name).weight"] = [outputs, inputs, 3, 3]
      shapes["\(name).bias"] = [outputs]
    }
    add("conv_first", 3 * unshuffling * unshuffling, features)
    for block in 0..<blockCount {
      for dense in Self.denseBlocks {
        for index in Self.blockConvolutions {
          add(
            "body.\(block).rdb\(dense).conv\(index)", features + (index - 1) * growth,
            index == Self.blockConvolutions.upperBound ? features : growth)
        }
      }
    }
    add("conv_body", features, features)
    for step in 0..<doublings { add("conv_up\(step + 1)", features, features) }
    add("conv_hr", features, features)
    add("conv_last", features, 3)
    return shapes
  }
}
