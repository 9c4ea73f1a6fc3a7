import FlowCore
import FlowTestSupport
import Foundation
import Testing

/// A tiny model of a transformer family, and the images that diffusers makes with it.
struct TinyPipeline {
  /// An image of the golden file.
  struct Case: Decodable {
    let prompt: String
    let negative: String?
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let width: Int
    let height: Int
    /// The layers that skip-layer guidance leaves out, with its scale and range.
    let layers: [Int]?
    let scale: Double?
    let start: Double?
    let stop: Double?
  }

  /// The folder of all models, which lie with the families' own tests.
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../FlowModelsTests/Fixtures/pipelines").standardizedFileURL.path

  /// The folder of a model.
  static func model(_ name: String) -> String { "\(folder)/\(name)" }

  let golden: Golden
  let cases: [Case]

  /// Opens a golden file.
  init(_ name: String) throws {
    golden = try Golden("\(Self.folder)/\(name).safetensors")
    cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
  }

  /// A tensor as an image.
  func image(_ name: String) throws -> PixelImage {
    let shape = try golden.shape(name)
    return PixelImage(
      width: shape[1], height: shape[0], pixels: try golden.floats(name).map { UInt8($0) })
  }

  /// The command that makes the image of a case with a model.
  func command(_ index: Int, model: String) -> [String] {
    let item = cases[index]
    return [
      "generate", item.prompt, "--model", model, "--prompt-syntax", "plain", "--seed",
      "\(item.seed)", "--steps", "\(item.steps)", "--cfg", "\(item.guidance)", "--size",
      "\(item.width)x\(item.height)", "--negative", item.negative ?? "", "--quiet",
    ]
  }

  /// Expects an image to be that of a case.
  func expect(_ image: PixelImage, _ index: Int, sourceLocation: SourceLocation = #_sourceLocation)
    throws
  {
    // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
    expectClose(
      image.pixels.map(Float.init), try golden.floats("\(index).pixels"), tolerance: 2,
      sourceLocation: sourceLocation)
  }
}
