internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
internal import Foundation

/// The elements of one input of a graph, in its own type.
enum CalibrationInput: Equatable {
  case floats([Float])
  case bytes([UInt8])

  /// The center of an image-like input, at most `side` positions on each axis.
  ///
  /// - Parameters:
  ///   - shape: `[channels, height, width]` of floats, `[height, width, channels]` of bytes.
  func cropped(_ shape: Shape, side: Int) -> CalibrationInput {
    switch self {
    case .floats(let elements):
      let (height, width) = (shape[1], shape[2])
      return .floats(
        (0..<shape[0]).flatMap { channel in
          Self.middle(height, side).flatMap { y in
            let start = (channel * height + y) * width
            return elements[Self.shifted(Self.middle(width, side), by: start)]
          }
        })
    case .bytes(let elements):
      let (width, channels) = (shape[1], shape[2])
      let columns = Self.middle(width, side)
      return .bytes(
        Self.middle(shape[0], side).flatMap { y in
          elements[
            (y * width + columns.lowerBound) * channels..<(y * width + columns.upperBound)
              * channels]
        })
    }
  }

  private static func middle(_ extent: Int, _ side: Int) -> Range<Int> {
    let start = (extent - min(extent, side)) / 2
    return start..<start + min(extent, side)
  }

  private static func shifted(_ range: Range<Int>, by offset: Int) -> Range<Int> {
    range.lowerBound + offset..<range.upperBound + offset
  }
}

extension CalibrationInput: Codable {
  private enum CodingKeys: String, CodingKey { case floats, bytes }

  // As data: property lists store arrays of numbers element by element.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .floats(let elements): try container.encode(Data(floats: elements), forKey: .floats)
    case .bytes(let elements): try container.encode(Data(elements), forKey: .bytes)
    }
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if let data = try container.decodeIfPresent(Data.self, forKey: .floats) {
      self = .floats(data.floats)
    } else {
      self = .bytes(Array(try container.decode(Data.self, forKey: .bytes)))
    }
  }
}

extension Data {
  /// Floats in this machine's byte order.
  init(floats: [Float]) {
    self.init(capacity: 4 * floats.count)
    for element in floats {
      unsafe Swift.withUnsafeBytes(of: element) { unsafe append(contentsOf: $0) }
    }
  }

  /// The floats that were written by `init(floats:)`; up to three trailing bytes are ignored.
  var floats: [Float] {
    unsafe [Float](unsafeUninitializedCapacity: count / 4) { buffer, initialized in
      initialized = unsafe copyBytes(to: buffer, count: 4 * (count / 4)) / 4
    }
  }
}

extension Program {
  /// Writes the first inputs of the graph, in order, and runs.
  func run(_ inputs: [CalibrationInput]) throws(EngineError) {
    for (port, input) in zip(self.inputs, inputs) {
      switch input {
      case .floats(let elements): write(port.name, ContiguousArray(elements).span)
      case .bytes(let elements): write(port.name, ContiguousArray(elements).span)
      }
    }
    try run()
  }
}
