internal import FlowCore
internal import FlowEngine
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// Whether faster configurations generate other images: pixel by pixel against the plain run, and
/// by the nearest reference of each image.
struct QualityStudy {
  /// A configuration.
  struct Way {
    let label: String
    var precision = PrecisionChoice.float(.float32)
    var stages: Int
    var steps: Int
    var guidance: Guidance
    var spacing = FlowMatchingSchedule.Spacing.uniform
    /// Whether steps, guidance and solver differ from image to image.
    var isMixed = false
    /// The way that the images are compared with.
    var reference = 0
  }

  struct Row: Codable {
    let label: String
    let pictures: Int
    /// Over all channels of all pixels, against the reference: the first row, unless the label
    /// names another.
    let largestDifference: Int
    let meanDifference: Double
    /// Peak signal-to-noise ratio against the reference, in decibels; nil if the images are
    /// identical.
    let meanPsnr: Double?
    let leastPsnr: Double?
    /// Structural similarity to the reference (Wang et al., 2004).
    let meanSsim: Double
    /// The shares of images whose own reference is the nearest, or among the nearest five.
    let topOne: Double?
    let topFive: Double?
    /// Peak signal-to-noise ratio against the reference, in decibels.
    let referencePsnr: Double?

    /// Half of the 95 % confidence interval of a share (normal approximation of the binomial
    /// distribution).
    func error(of share: Double) -> Double {
      1.96 * (share * (1 - share) / Double(max(pictures, 1))).squareRoot()
    }
  }

  let checkpoint: Checkpoint
  let scales: String?
  let references: RetrievalReferences?
  let prompts: [String]
  /// The size of the images; nil for the model's.
  var size: PixelSize?
  let device: DeviceName
  let threads: Int?
  let cache: EngineCache?
  let progress: (String) -> Void

  /// Measures all ways; if it is cancelled, the rows are those that were measured.
  ///
  /// - Throws: `CancellationError` if it is cancelled before the first row.
  func callAsFunction(_ ways: [Way]) async throws -> [Row] {
    var all: [[PixelImage]] = []
    var rows: [Row] = []
    for way in ways {
      progress(way.label)
      let pictures: [PixelImage]
      do { pictures = try await self.pictures(way) } catch is CancellationError
        where !rows.isEmpty
      {
        return rows
      }
      all.append(pictures)
      rows.append(row(way, pictures, against: all[way.reference]))
    }
    return rows
  }

  /// Steps, guidance and solvers that differ from image to image.
  private func mix(_ request: inout GenerationRequest, _ index: Int) {
    request.stepCount = [4, 1, 6, 9][index / 3 % 4]
    request.guidance = index.isMultiple(of: 2) ? .none : .full(scale: 2.5)
    var other = request
    other.solver = Solver.allCases[index % Solver.allCases.count]
    // Other schedules than those of flows have one solver.
    if (try? checkpoint.peakRowCount(of: other)) != nil { request = other }
  }

  private func pictures(_ way: Way) async throws -> [PixelImage] {
    let model = try way.precision.applied(to: checkpoint, scales: scales)
    var options = GeneratorOptions()
    options.rowCapacity = max(way.stages, way.isMixed ? 2 : way.guidance.rowsPerStep)
    (options.width, options.height) = (size?.width, size?.height)
    let engines = EngineStore(
      device: device,
      options: EngineOptions(
        threadCount: threads, precision: try way.precision.finding(for: device).precision),
      cache: cache)
    let generator = try Generator(checkpoint: model, options: options, engines: engines)
    let requests = prompts.enumerated().map { index, prompt in
      var request = checkpoint.request(prompt)
      request.promptSyntax = .plain
      request.seed = UInt64(index)
      (request.stepCount, request.guidance, request.spacing) =
        (way.steps, way.guidance, way.spacing)
      if way.isMixed { mix(&request, index) }
      return request
    }
    var pictures: [(Int, PixelImage)] = []
    for try await picture in try await generator.images(for: requests) {
      pictures.append((picture.index, picture.image))
    }
    return pictures.sorted { $0.0 < $1.0 }.map(\.1)
  }

  private func row(_ way: Way, _ pictures: [PixelImage], against plain: [PixelImage]) -> Row {
    let differences = zip(pictures, plain).map { ImageDifference($0, $1) }
    let ratios = differences.map(\.psnr)
    let ranks = references.map { references in
      pictures.enumerated().map { references.rank(of: $1, prompt: $0) }
    }
    let count = Double(max(pictures.count, 1))
    let isSame = differences.allSatisfy { $0.squaredError == 0 }
    return Row(
      label: way.label, pictures: pictures.count,
      largestDifference: differences.map(\.largest).max() ?? 0,
      meanDifference: differences.reduce(0) { $0 + $1.mean } / count,
      meanPsnr: isSame ? nil : ratios.reduce(0, +) / count, leastPsnr: isSame ? nil : ratios.min(),
      meanSsim: zip(pictures, plain).reduce(0) { $0 + structuralSimilarity($1.0, $1.1) } / count,
      topOne: ranks.map { Double($0.count { $0.place == 0 }) / count },
      topFive: ranks.map { Double($0.count { $0.place < 5 }) / count },
      referencePsnr: ranks.map { $0.reduce(0) { $0 + $1.psnr } / count })
  }
}

/// The difference of two images of one size.
struct ImageDifference {
  let largest: Int
  let mean: Double
  /// The mean squared difference.
  let squaredError: Double

  init(_ left: PixelImage, _ right: PixelImage) {
    var (largest, sum, squares) = (0, 0, 0)
    for (one, other) in zip(left.pixels, right.pixels) {
      let difference = abs(Int(one) - Int(other))
      largest = max(largest, difference)
      sum += difference
      squares += difference * difference
    }
    let count = Double(max(left.pixels.count, 1))
    self.largest = largest
    mean = Double(sum) / count
    squaredError = Double(squares) / count
  }

  /// Peak signal-to-noise ratio in decibels; 100 for identical images.
  var psnr: Double {
    guard squaredError > 0 else { return 100 }
    return 10.0 * log10(65025.0 / squaredError)
  }
}

/// The mean structural similarity of two images' luma over windows of 8x8 pixels, 4 apart (Wang,
/// Bovik, Sheikh and Simoncelli, 2004, equation 13, with its constants).
func structuralSimilarity(_ left: PixelImage, _ right: PixelImage) -> Double {
  let (first, second) = (luma(left), luma(right))
  let (width, height) = (left.width, left.height)
  let side = min(8, width, height)
  // The squares of 1 % and 3 % of the maximum luma.
  let small = 2.55 * 2.55
  let large = 7.65 * 7.65
  var (sum, count) = (0.0, 0)
  for top in stride(from: 0, through: height - side, by: 4) {
    for start in stride(from: 0, through: width - side, by: 4) {
      var (a, b, aa, bb, ab) = (0.0, 0.0, 0.0, 0.0, 0.0)
      for y in top..<top + side {
        for x in start..<start + side {
          let (one, other) = (first[y * width + x], second[y * width + x])
          a += one
          b += other
          aa += one * one
          bb += other * other
          ab += one * other
        }
      }
      let places = Double(side * side)
      let (meanA, meanB) = (a / places, b / places)
      let (varianceA, varianceB) = (aa / places - meanA * meanA, bb / places - meanB * meanB)
      let covariance = ab / places - meanA * meanB
      sum +=
        (2 * meanA * meanB + small) * (2 * covariance + large)
        / ((meanA * meanA + meanB * meanB + small) * (varianceA + varianceB + large))
      count += 1
    }
  }
  return sum / Double(max(count, 1))
}

/// Luma of ITU-R BT.601.
private func luma(_ image: PixelImage) -> [Double] {
  (0..<image.width * image.height).map { place in
    let (red, green) = (Double(image.pixels[3 * place]), Double(image.pixels[3 * place + 1]))
    return 0.299 * red + 0.587 * green + 0.114 * Double(image.pixels[3 * place + 2])
  }
}
