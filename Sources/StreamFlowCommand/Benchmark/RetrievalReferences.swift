internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import Foundation

/// Reference subjects on backgrounds of one color, and the one that each prompt describes.
///
/// A folder with `references.json` and the sheet of transparent images that it names (made by
/// `Scripts/benchmarks/references.py`).
struct RetrievalReferences {
  private struct File: Decodable {
    struct Prompt: Decodable {
      let prompt: String
      let thing: Int
      let background: Int
    }
    let sheet: String
    let side: Int
    let columns: Int
    let things: [String]
    let backgrounds: [[UInt8]]
    let prompts: [Prompt]
  }

  /// The prompts.
  let prompts: [String]
  /// The names of the subjects.
  let things: [String]
  /// The names of the backgrounds, as far as prompts contain them.
  let backgroundNames: [Int: String]
  private let side: Int
  private let wanted: [(thing: Int, background: Int)]
  /// For each background, the subjects on it.
  private let pictures: [[[UInt8]]]

  init(folder: String) throws {
    let path = "\(folder)/references.json"
    let file: File
    do {
      file = try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(filePath: path)))
    } catch {
      throw ValidationError(
        "'\(path)' does not hold references for the quality suite; "
          + "Scripts/benchmarks/references.py makes them")
    }
    let bytes: [UInt8]
    do { bytes = try Array(Data(contentsOf: URL(filePath: "\(folder)/\(file.sheet)"))) } catch {
      throw ValidationError("cannot read '\(folder)/\(file.sheet)', which '\(path)' names")
    }
    let (side, columns) = (file.side, file.columns)
    pictures = try file.backgrounds.map { color in
      guard color.count == 3 else { throw ValidationError("'\(path)': a background has 3 numbers") }
      let sheet = try PixelImage(
        png: bytes, background: RGBColor(red: color[0], green: color[1], blue: color[2]))
      let rows = (file.things.count + columns - 1) / max(columns, 1)
      guard side > 0, columns > 0, sheet.width >= side * columns, sheet.height >= side * rows else {
        throw ValidationError("'\(path)': the sheet is too small for its subjects")
      }
      return file.things.indices.map { thing in
        let (top, left) = (thing / columns * side, thing % columns * side)
        var pixels: [UInt8] = []
        for y in top..<top + side {
          let start = 3 * (y * sheet.width + left)
          pixels += sheet.pixels[start..<start + 3 * side]
        }
        return pixels
      }
    }
    for prompt in file.prompts {
      guard file.things.indices.contains(prompt.thing),
        file.backgrounds.indices.contains(prompt.background)
      else {
        throw ValidationError(
          "'\(path)': '\(prompt.prompt)' names a subject that is not on the sheet")
      }
    }
    prompts = file.prompts.map(\.prompt)
    things = file.things
    self.side = side
    backgroundNames = Dictionary(
      file.prompts.compactMap { prompt in
        prompt.prompt.firstMatch(of: #/ on an? (.+) background$/#)
          .map { (prompt.background, String($0.1)) }
      }, uniquingKeysWith: { first, _ in first })
    wanted = file.prompts.map { ($0.thing, $0.background) }
  }

  /// How many subjects are nearer to an image, by squared error, than the one that its prompt
  /// describes, and the distance of that one in decibels.
  func rank(of picture: PixelImage, prompt: Int) -> (place: Int, psnr: Double) {
    let (thing, background) = wanted[prompt]
    let errors = pictures[background].map { Self.squaredError(picture.pixels, $0) }
    let own = errors[thing]
    let mean = max(Double(own) / Double(picture.pixels.count), 1e-9)
    return (errors.count { $0 < own }, 10 * log10(65025 / mean))
  }

  /// A subject on a background.
  func picture(thing: Int, background: Int) -> PixelImage {
    PixelImage(width: side, height: side, pixels: pictures[background][thing])
  }

  /// Where a subject covers its background completely, and where it leaves it.
  func parts(of thing: Int) -> (subject: [Bool], background: [Bool]) {
    let (one, other) = (pictures[0][thing], pictures[1][thing])
    // A transparent pixel has the colors of the backgrounds, an opaque one the same on both.
    let corner = (Array(one[0..<3]), Array(other[0..<3]))
    return (
      (0..<side * side).map { one[3 * $0..<3 * $0 + 3] == other[3 * $0..<3 * $0 + 3] },
      (0..<side * side).map {
        Array(one[3 * $0..<3 * $0 + 3]) == corner.0 && Array(other[3 * $0..<3 * $0 + 3]) == corner.1
      }
    )
  }

  /// The subject nearest to an image on a background, by squared error.
  func nearestThing(to image: PixelImage, background: Int) -> Int? {
    let errors = pictures[background].map { Self.squaredError(image.pixels, $0) }
    return errors.indices.min { errors[$0] < errors[$1] }
  }

  /// The background nearest to an image of a subject, by squared error.
  func nearestBackground(to image: PixelImage, thing: Int) -> Int? {
    let errors = pictures.map { Self.squaredError(image.pixels, $0[thing]) }
    return errors.indices.min { errors[$0] < errors[$1] }
  }

  private static func squaredError(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var sum: Int32 = 0
    for index in 0..<min(left.count, right.count) {
      let difference = Int32(left[index]) - Int32(right[index])
      sum &+= difference &* difference
    }
    return Int(sum) + 255 * 255 * abs(left.count - right.count)
  }
}
