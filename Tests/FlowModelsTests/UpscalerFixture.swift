import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation

@testable import FlowModels

/// A tiny upscaler whose weights are made of their places, and what spandrel's network makes with it.
struct UpscalerFixture: Decodable {
  struct Entry: Decodable {
    let name: String
    let shape: [Int]
    let gain: Float
    let offset: Float
  }

  let entries: [Entry]
  let factor: Int
  let seed: UInt64
  let prefix: String
  let fraction: Float
  /// The number of images.
  let count: Int

  static func golden() throws -> Golden { try Golden("upscalers.safetensors", in: .module) }

  static func all() throws -> [String: UpscalerFixture] {
    let text = try golden().metadata["cases"] ?? ""
    return try JSONDecoder().decode([String: UpscalerFixture].self, from: Data(text.utf8))
  }

  typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  /// The tensors, as `Scripts/fixtures/upscalers.py` makes them.
  func tensors(seed: UInt64? = nil) -> [Tensor] {
    let seed = seed ?? self.seed
    return entries.enumerated().map { index, entry in
      let count = entry.shape.reduce(1, *)
      let scalars = (0..<count).map { place in
        Self.number(tensor: UInt64(index), place: UInt64(place), seed: seed) * entry.gain
          + entry.offset
      }
      return (prefix + entry.name, entry.shape, scalars)
    }
  }

  /// A number within -0.5 and 0.5.
  private static func number(tensor: UInt64, place: UInt64, seed: UInt64) -> Float {
    let mask: UInt64 = 0xffff_ffff
    var x = place &* 747_796_405 &+ tensor &* 2_891_336_453 &+ seed &* 277_803_737 &+ 1
    x &= mask
    for (shift, factor) in [(16, 2_246_822_519), (13, 3_266_489_917)] as [(UInt64, UInt64)] {
      x = ((x ^ (x >> shift)) &* factor) & mask
    }
    return Float((x ^ (x >> 16)) >> 8) * 0x1p-24 - 0.5
  }

  func file(in folder: TemporaryFolder, named name: String) throws -> UpscalerFile {
    let path = try folder.write(SafetensorsWriter.file(tensors()), as: "\(name).safetensors")
    let file = try UpscalerFile(path: path)
    guard fraction > 0 else { return file }
    let other = try folder.write(
      SafetensorsWriter.file(tensors(seed: seed + 100)), as: "\(name)-other.safetensors")
    return try file.interpolated(with: UpscalerFile(path: other), fraction: fraction)
  }
}
