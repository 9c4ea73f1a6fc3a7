internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// How often editing methods make a requested change, what they preserve, and how fast they are.
///
/// The inputs are reference subjects on a background of one color. Half of the edits change the
/// background ("a fox on a blue background" to red), half the subject (to another one). An edit is
/// right if, among all references, the requested background is the nearest to the color at the
/// image's border, or the requested subject the nearest to the image. Whether the subject of a changed
/// background is still there is what its PSNR tells.
struct EditingStudy {
  /// A way of editing.
  struct Way {
    let label: String
    /// Nil for image-to-image.
    var method: EditingMethod?
    let strength: Double
  }

  /// The results of a way with a number of steps.
  struct Row: Codable {
    let label: String
    let steps: Int
    /// The share of right edits of the background, 0 to 1.
    let backgroundsRight: Double
    /// The median peak signal-to-noise ratio of the subject's pixels against the input, in decibels.
    let subjectPsnr: Double
    /// The share of right edits of the subject.
    let subjectsRight: Double
    /// The same of the pixels that are background before and after.
    let backgroundPsnr: Double
    let imagesPerSecond: Double
    /// The median over the image where the target prompt is the source prompt, for inversions.
    var reconstructionPsnr: Double?
  }

  /// All results.
  struct Report: Codable {
    /// The number of edits.
    let count: Int
    /// The median over the image of encoding and decoding alone.
    let autoencoderPsnr: Double
    var rows: [Row] = []
  }

  /// An edit of an image.
  private struct Edit {
    let image: PixelImage
    let source: String
    let target: String
    /// Which pixels should stay.
    let kept: [Bool]
    let isRight: (PixelImage) -> Bool
  }

  /// The usual numbers of steps.
  static let stepCounts = [1, 2, 4, 8, 16, 28]

  let checkpoint: Checkpoint
  let references: RetrievalReferences
  let count: Int
  /// The numbers of steps.
  let stepCounts: [Int]
  let engines: EngineStore
  let progress: (String) -> Void
  /// Takes each row as soon as it is measured.
  let measured: (Row) -> Void

  /// All methods with their published parameters for the model, and image-to-image.
  private var ways: [Way] {
    var ways = [Way(label: "image-to-image", strength: 0.8)]
    var weak = FlowAlign()
    weak.scale = 1.5
    for method in EditingMethod.allMethods + [.flowAlign(weak)] {
      let defaults = checkpoint.publishedEditingDefaults(method)
      ways.append(
        Way(
          label: defaults.method.rawValue, method: defaults.method, strength: defaults.strength))
      if case .inversion(.fireFlow) = method {
        ways.append(Way(label: "\(method.rawValue), strength 0.8", method: method, strength: 0.8))
      }
    }
    return ways
  }

  /// Measures all rows; if it is cancelled, the report has those that were measured.
  ///
  /// - Throws: `CancellationError` if it is cancelled before the first row.
  func callAsFunction() async throws -> Report {
    let edits = (backgrounds: try backgroundEdits, subjects: try subjectEdits)
    progress("encoding and decoding")
    let copies = try await images(
      of: edits.backgrounds, Way(label: "", strength: 0.001), steps: 1, targets: \.source)
    var report = Report(
      count: edits.backgrounds.count + edits.subjects.count,
      autoencoderPsnr: Self.median(zip(edits.backgrounds, copies).map { Self.psnr($1, $0.image) }))
    do {
      for way in ways { try await measure(way, edits, in: &report) }
    } catch is CancellationError where !report.rows.isEmpty {}
    return report
  }

  private func measure(
    _ way: Way, _ edits: (backgrounds: [Edit], subjects: [Edit]), in report: inout Report
  ) async throws {
    // A first run makes the engines.
    _ = try await images(
      of: Array(edits.backgrounds.prefix(16)), way, steps: stepCounts[0], targets: \.target)
    for steps in stepCounts {
      try Task.checkCancellation()
      progress("\(way.label), \(steps) \(steps == 1 ? "step" : "steps")")
      let row = try await row(way, steps: steps, edits)
      report.rows.append(row)
      measured(row)
    }
  }

  private func row(
    _ way: Way, steps: Int, _ edits: (backgrounds: [Edit], subjects: [Edit])
  ) async throws -> Row {
    let start = ContinuousClock.now
    let backgrounds = try await images(of: edits.backgrounds, way, steps: steps, targets: \.target)
    let subjects = try await images(of: edits.subjects, way, steps: steps, targets: \.target)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    func right(_ edits: [Edit], _ images: [PixelImage]) -> Double {
      Double(zip(edits, images).count { $0.isRight($1) }) / Double(max(edits.count, 1))
    }
    func preserved(_ edits: [Edit], _ images: [PixelImage]) -> Double {
      Self.median(zip(edits, images).map { Self.psnr($1, $0.image, where: $0.kept) })
    }
    var row = Row(
      label: way.label, steps: steps, backgroundsRight: right(edits.backgrounds, backgrounds),
      subjectPsnr: preserved(edits.backgrounds, backgrounds),
      subjectsRight: right(edits.subjects, subjects),
      backgroundPsnr: preserved(edits.subjects, subjects),
      imagesPerSecond: Double(backgrounds.count + subjects.count) / seconds)
    switch way.method {
    case .inversion, .rfInversion:
      let copies = try await images(
        of: edits.backgrounds, way, steps: steps, targets: \.source)
      row.reconstructionPsnr = Self.median(
        zip(edits.backgrounds, copies).map { Self.psnr($1, $0.image) })
    case .flowEdit, .flowAlign, .softInterpolation, nil: break
    }
    return row
  }

  private func images(
    of edits: [Edit], _ way: Way, steps: Int, targets: KeyPath<Edit, String>
  ) async throws -> [PixelImage] {
    let generator = try Generator(
      checkpoint: checkpoint, options: options, engines: engines)
    let requests = edits.enumerated().map { index, edit in
      var request = checkpoint.request(edit[keyPath: targets])
      (request.seed, request.stepCount, request.guidance) = (UInt64(index), steps, .none)
      request.spacing = .uniform
      request.source = InputImage(image: edit.image, strength: way.strength)
      request.editing = way.method.map { Editing($0, sourcePrompt: edit.source) }
      return request
    }
    var images: [(Int, PixelImage)] = []
    for try await image in try await generator.images(for: requests) {
      images.append((image.index, image.image))
    }
    return images.sorted { $0.0 < $1.0 }.map(\.1)
  }

  private var options: GeneratorOptions {
    var options = GeneratorOptions()
    // A row of some methods has three evaluations.
    options.rowCapacity = min(18, 3 * count)
    return options
  }

  // MARK: - Edits

  private func background(_ name: String) throws -> Int {
    guard let index = references.backgroundNames.first(where: { $0.value == name })?.key else {
      throw ValidationError("the references have no \(name) background")
    }
    return index
  }

  /// Subjects that are spread over all of them.
  private var things: [Int] {
    let wanted = max((count + 1) / 2, 1)
    return (0..<wanted).map { $0 * references.things.count / wanted }
  }

  private var backgroundEdits: [Edit] {
    get throws {
      let (blue, red) = (try background("blue"), try background("red"))
      return things.map { thing in
        let name = references.things[thing]
        return Edit(
          image: references.picture(thing: thing, background: blue),
          source: "\(name) on a blue background", target: "\(name) on a red background",
          kept: references.parts(of: thing).subject
        ) { references.nearestBackground(to: $0) == red }
      }
    }
  }

  private var subjectEdits: [Edit] {
    get throws {
      let blue = try background("blue")
      let things = things
      return things.indices.prefix(max(count / 2, 1)).map { index in
        let (thing, other) = (things[index], things[(index + 1) % things.count])
        let kept = zip(
          references.parts(of: thing).background, references.parts(of: other).background
        ).map { $0 && $1 }
        return Edit(
          image: references.picture(thing: thing, background: blue),
          source: "\(references.things[thing]) on a blue background",
          target: "\(references.things[other]) on a blue background", kept: kept
        ) { references.nearestThing(to: $0) == other }
      }
    }
  }

  // MARK: - Figures

  private static func median(_ values: [Double]) -> Double {
    let sound = values.filter(\.isFinite)
    return sound.isEmpty ? 0 : Statistics.quantile(sound, 0.5)
  }

  /// The peak signal-to-noise ratio of some pixels in decibels; NaN without any.
  private static func psnr(
    _ image: PixelImage, _ other: PixelImage, where kept: [Bool]? = nil
  ) -> Double {
    var (squares, count) = (0, 0)
    for place in 0..<image.width * image.height where kept?[place] ?? true {
      for index in 3 * place..<3 * place + 3 {
        let difference = Int(image.pixels[index]) - Int(other.pixels[index])
        squares += difference * difference
        count += 1
      }
    }
    guard count > 0 else { return .nan }
    return 10 * log10(65025 / max(Double(squares) / Double(count), 1e-9))
  }
}
