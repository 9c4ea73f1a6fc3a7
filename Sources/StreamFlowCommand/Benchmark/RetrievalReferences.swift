internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import Foundation

/// Reference subjects, and the one that each prompt describes.
///
/// A folder with `references.json` and the sheet of transparent images that it names (made by
/// `Scripts/benchmarks/references.py`). A model may draw a subject in several ways: the sheet has `variants` images of
/// each subject in sequence (1 unless given), and an image may have it moved by `shift` pixels up to `reach` times in each
/// direction (not at all unless given). Subjects are compared over the background that the image itself has, with sides halved
/// while they are even and above 64 pixels.
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
    var variants: Int?
    var shift: Int?
    var reach: Int?
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
  /// The width and height of the references, and of the images that can be compared with them.
  let side: Int
  private let backgrounds: [RGBColor]
  /// The subject of each prompt.
  private let wanted: [Int]
  /// The first image of each subject.
  private let cutouts: [Cutout]
  /// All images of each subject as they are compared, with images reduced as often.
  private let compared: [[Cutout]]
  private let reductions: Int
  /// By how many pixels subjects are moved where they are compared.
  private let moves: [(x: Int, y: Int)]

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
    let (side, columns, variants) = (file.side, file.columns, file.variants ?? 1)
    let (shift, reach) = (file.shift ?? 0, file.reach ?? 0)
    for (name, value, range) in [
      ("side", side, 8...1024), ("columns", columns, 1...10_000), ("variants", variants, 1...16),
      ("shift", shift, 0...side), ("reach", reach, 0...8),
    ] where !range.contains(value) {
      throw ValidationError(
        "'\(path)': \(name) must be \(range.lowerBound) to \(range.upperBound), got \(value)")
    }
    var (reductions, width) = (0, side)
    while width > 64, width.isMultiple(of: 2) { (reductions, width) = (reductions + 1, width / 2) }
    guard reach == 0 || (shift > 0 && reach * shift < side && shift.isMultiple(of: 1 << reductions))
    else {
      throw ValidationError(
        "'\(path)': with reach \(reach), shift must be a multiple of \(1 << reductions) from 1, and "
          + "their product below the side (\(side)); got \(shift)")
    }
    guard file.backgrounds.count >= 1, file.backgrounds.allSatisfy({ $0.count == 3 }) else {
      throw ValidationError("'\(path)': a background has 3 numbers")
    }
    for prompt in file.prompts {
      guard file.things.indices.contains(prompt.thing),
        file.backgrounds.indices.contains(prompt.background)
      else {
        throw ValidationError(
          "'\(path)': '\(prompt.prompt)' names a subject that is not on the sheet")
      }
    }
    let all = try Self.cutouts(
      "\(folder)/\(file.sheet)", of: path, side: side, columns: columns,
      count: file.things.count * variants)
    cutouts = file.things.indices.map { all[variants * $0] }
    let small = all.map { cutout in (0..<reductions).reduce(cutout) { cutout, _ in cutout.halved } }
    compared = file.things.indices.map { Array(small[variants * $0..<variants * ($0 + 1)]) }
    self.reductions = reductions
    let steps = (-reach...reach).map { $0 * (shift >> reductions) }
    moves = steps.flatMap { y in steps.map { x in (x, y) } }
    backgrounds = file.backgrounds.map { RGBColor(red: $0[0], green: $0[1], blue: $0[2]) }
    prompts = file.prompts.map(\.prompt)
    things = file.things
    self.side = side
    backgroundNames = Dictionary(
      file.prompts.compactMap { prompt in
        prompt.prompt.firstMatch(of: #/ on an? (.+) background$/#)
          .map { (prompt.background, String($0.1)) }
      }, uniquingKeysWith: { first, _ in first })
    wanted = file.prompts.map(\.thing)
  }

  private static func cutouts(
    _ sheet: String, of path: String, side: Int, columns: Int, count: Int
  ) throws -> [Cutout] {
    let bytes: [UInt8]
    do { bytes = try Array(Data(contentsOf: URL(filePath: sheet))) } catch {
      throw ValidationError("cannot read '\(sheet)', which '\(path)' names")
    }
    let black = try PixelImage(png: bytes, background: RGBColor(red: 0, green: 0, blue: 0))
    let white = try PixelImage(png: bytes, background: RGBColor(red: 255, green: 255, blue: 255))
    let rows = (count + columns - 1) / columns
    guard black.width >= side * columns, black.height >= side * rows else {
      throw ValidationError("'\(path)': the sheet is too small for its subjects")
    }
    return (0..<count).map { index in
      Cutout(
        black: black, white: white, left: index % columns * side, top: index / columns * side,
        side: side)
    }
  }

  /// Checks that images of a size can be compared.
  ///
  /// - Throws: `ValidationError` if the references have another size.
  func check(width: Int, height: Int, of model: String) throws {
    guard (width, height) != (side, side) else { return }
    throw ValidationError(
      "the references have \(side)x\(side) pixels, and '\(model)' makes images of \(width)x\(height); "
        + "Scripts/benchmarks/references.py makes those of the embedded starter")
  }

  /// How many subjects are nearer to an image, by squared error, than the one that its prompt
  /// describes, and the distance of that one in decibels; the color of the background does not count.
  func rank(of picture: PixelImage, prompt: Int) -> (place: Int, psnr: Double) {
    let thing = wanted[prompt]
    guard let seen = Seen(picture, self), let own = error(of: seen, thing, below: .max) else {
      return (things.count, 0)
    }
    let mean = max(Double(own) / Double(seen.pixels.count), 1e-9)
    let nearer = things.indices.count { $0 != thing && error(of: seen, $0, below: own) != nil }
    return (nearer, 10 * log10(65025 / mean))
  }

  /// A subject on a background.
  func picture(thing: Int, background: Int) -> PixelImage {
    cutouts[thing].image(over: backgrounds[background])
  }

  /// Where a subject covers its background completely, and where it leaves it.
  func parts(of thing: Int) -> (subject: [Bool], background: [Bool]) { cutouts[thing].parts }

  /// The subject nearest to an image, by squared error; nil for an image of another size.
  func nearestThing(to image: PixelImage) -> Int? {
    guard let seen = Seen(image, self) else { return nil }
    var (nearest, least): (Int?, Int) = (nil, .max)
    for thing in things.indices {
      if let error = error(of: seen, thing, below: least) { (nearest, least) = (thing, error) }
    }
    return nearest
  }

  /// The background nearest in color to that of an image; nil for an image of another size.
  func nearestBackground(to image: PixelImage) -> Int? {
    guard let middle = Seen(image, self)?.ground.middle else { return nil }
    let distances = backgrounds.map { color in
      zip(middle, [color.red, color.green, color.blue]).reduce(0) { sum, pair in
        sum + (pair.0 - Double(pair.1)) * (pair.0 - Double(pair.1))
      }
    }
    return distances.indices.min { distances[$0] < distances[$1] }
  }

  /// An image as it is compared.
  private struct Seen {
    let pixels: [Int32]
    let ground: BackgroundFit

    /// Nil if the image is not as large as the references.
    init?(_ image: PixelImage, _ references: RetrievalReferences) {
      guard image.width == references.side, image.height == references.side else { return nil }
      let whole = Cutout(black: image, white: image, left: 0, top: 0, side: references.side)
      let small = (0..<references.reductions).reduce(whole) { image, _ in image.halved }
      pixels = small.colors
      ground = BackgroundFit(pixels, side: small.side)
    }
  }

  /// The least squared error of a subject's images wherever they may be; nil if none is below a limit.
  private func error(of seen: Seen, _ thing: Int, below limit: Int) -> Int? {
    var (least, isFound) = (limit, false)
    for cutout in compared[thing] {
      for move in moves {
        guard
          let error = cutout.error(of: seen.pixels, over: seen.ground, movedBy: move, below: least)
        else { continue }
        (least, isFound) = (error, true)
      }
    }
    return isFound ? least : nil
  }
}
