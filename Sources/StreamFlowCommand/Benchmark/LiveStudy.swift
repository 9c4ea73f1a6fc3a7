internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// What a live stream gains by doing only the work that changed, and what that costs.
///
/// Every setting transforms clips in which a known fraction of the image changes with each frame, in
/// one process and interleaved. Its images are compared with those of whole frames.
struct LiveStudy {
  /// A setting.
  struct Way {
    let label: String
    var reuse = LiveReuse()
    var decodesChanges = false
  }

  /// The results of a setting on one clip.
  struct Row: Codable {
    let label: String
    /// The fraction of the image that changes, 0 to 1.
    let changed: Double
    /// Frames per second of each round.
    var rates: [Double] = []
    /// The mean peak signal-to-noise ratio against whole frames in decibels; nil if identical.
    var psnr: Double?
    /// The mean absolute difference between consecutive images, 0 to 255.
    var flicker = 0.0
    /// The frames of which the network ran on a region alone, in the last round.
    var regions = 0
    /// The frames of which it ran on nothing.
    var skipped = 0
    /// The frames of which only the changed tiles were decoded.
    var partialDecodes = 0

    /// The median of the frames per second.
    var rate: Double { Statistics.quantile(rates, 0.5) }
  }

  /// The results at one size.
  struct Part: Codable {
    let width: Int
    let height: Int
    let frames: Int
    let steps: Int
    let rows: [Row]
  }

  /// The fractions of the image that change.
  static let fractions = [0, 0.1, 0.25, 0.5, 1]

  /// The settings; the first is the one to which others are compared.
  static var ways: [Way] {
    func way(_ label: String, decodes: Bool = true, _ change: (inout LiveReuse) -> Void) -> Way {
      var reuse = LiveReuse()
      change(&reuse)
      return Way(label: label, reuse: reuse, decodesChanges: decodes)
    }
    return [
      Way(label: "whole frames"),
      way("still cells held") { $0.holdsStill = true },
      way("region, margin 16, decoded whole", decodes: false) { $0.regionMargin = 16 },
      way("region, margin 16") { $0.regionMargin = 16 },
      way("region, margin 32") { $0.regionMargin = 32 },
      way("region, margin 32, still cells held") { ($0.regionMargin, $0.holdsStill) = (32, true) },
      way("latent blend 0.5") { $0.latentBlend = 0.5 },
      way("latent blend 0.8") { $0.latentBlend = 0.8 },
      way("motion response 0.1") { $0.motionResponse = 0.1 },
    ]
  }

  let checkpoint: Checkpoint
  let size: PixelSize
  let steps: Int
  let rounds: Int
  let frameCount: Int
  let engines: EngineStore
  let progress: (String) -> Void

  /// Measures all ways; if it is cancelled, with the rounds until then.
  ///
  /// - Throws: `CancellationError` if it is cancelled in the first round.
  func callAsFunction() async throws -> Part {
    let ways = Self.ways
    let clips = Self.fractions.map { clip(changing: $0) }
    let streams = try ways.map(stream)
    var rows = ways.map { way in
      Self.fractions.map { Row(label: way.label, changed: $0) }
    }
    // Once without measuring: engines of regions are made when a frame asks for them.
    for (way, stream) in zip(ways, streams) {
      progress("preparing: \(way.label)")
      for clip in clips {
        _ = try await run(stream, Array(clip.prefix(3)))
        await stream.settleRegions()
      }
    }
    var whole: [[PixelImage]] = []
    var finished = 0
    do {
      for round in 0..<rounds {
        for (index, clip) in clips.enumerated() {
          for way in ways.indices {
            try Task.checkCancellation()
            progress(
              "round \(round + 1) of \(rounds): \(ways[way].label), "
                + "\(Int(100 * Self.fractions[index])) % changed")
            let before = await streams[way].statistics
            let start = ContinuousClock.now
            let images = try await run(streams[way], clip)
            rows[way][index].rates.append(
              Double(clip.count) / ((ContinuousClock.now - start) / .seconds(1)))
            if way == 0, round == 0 { whole.append(images) }
            rows[way][index].describe(images, whole: whole[index])
            rows[way][index].count(from: before, to: await streams[way].statistics)
          }
        }
        finished += 1
      }
    } catch is CancellationError where finished > 0 {}
    for stream in streams { await stream.cancel() }
    return Part(
      width: size.width, height: size.height, frames: frameCount, steps: steps,
      rows: rows.flatMap(\.self))
  }

  private func stream(_ way: Way) throws -> LiveStream {
    var settings = LiveSettings(prompt: "a fox on a blue background")
    settings.request = checkpoint.request(settings.request.prompt)
    (settings.request.stepCount, settings.request.spacing) = (steps, .uniform)
    // The same for all settings: what is compared is not the noise.
    settings.request.seed = 5
    (settings.width, settings.height) = (size.width, size.height)
    settings.reuse = way.reuse
    var options = LiveOptions()
    options.decodesChanges = way.decodesChanges
    options.rowCapacity = min(steps, 4)
    return try LiveStream(
      checkpoint: checkpoint, settings: settings, options: options, engines: engines)
  }

  private func run(_ stream: LiveStream, _ clip: [PixelImage]) async throws -> [PixelImage] {
    await stream.restart()
    let feeding = Task {
      for (index, image) in clip.enumerated() {
        await stream.submit(image, timestamp: .milliseconds(40 * index))
      }
      await stream.finish()
    }
    var images: [PixelImage] = []
    for try await frame in stream.frames {
      if case .failed(let error) = frame.outcome { throw error }
      if let image = frame.image { images.append(image) }
    }
    await feeding.value
    return images
  }

  /// Two gradients with camera noise (deviation 4), and a square with moving stripes that covers a
  /// fraction of the image.
  private func clip(changing fraction: Double) -> [PixelImage] {
    let side = (Double(size.width * size.height) * fraction).squareRoot()
    let (width, height) = (min(Int(side), size.width), min(Int(side), size.height))
    let (left, top) = ((size.width - width) / 2, (size.height - height) / 2)
    return (0..<frameCount).map { frame in
      var noise = GaussianNoise(seed: UInt64(frame))
      let drawn = noise.latents(shape: [size.height, size.width, 3]).scalars
      let pixels = drawn.indices.map { index in
        let (x, y, channel) = (index / 3 % size.width, index / 3 / size.width, index % 3)
        let isInside = left..<left + width ~= x && top..<top + height ~= y
        let level =
          isInside
          ? (x + y + 12 * frame) / 16 % 2 == 0 ? 220 - 60 * channel : 40 + 30 * channel
          : [100 * x / size.width, 120 * y / size.height, 150][channel] + 50
        return UInt8(min(max(Float(level) + 4 * drawn[index], 0), 255))
      }
      return PixelImage(width: size.width, height: size.height, pixels: pixels)
    }
  }
}

extension LiveStudy.Row {
  fileprivate mutating func describe(_ images: [PixelImage], whole: [PixelImage]) {
    let ratios = zip(images, whole).map { ImageDifference($0, $1) }
    psnr =
      ratios.allSatisfy { $0.squaredError == 0 }
      ? nil : ratios.reduce(0) { $0 + $1.psnr } / Double(max(ratios.count, 1))
    let changes = zip(images.dropFirst(), images).map { ImageDifference($0, $1).mean }
    flicker = changes.reduce(0, +) / Double(max(changes.count, 1))
  }

  fileprivate mutating func count(from before: LiveStatistics, to after: LiveStatistics) {
    regions = after.regionCount - before.regionCount
    skipped = after.skippedCount - before.skippedCount
    partialDecodes = after.partialDecodeCount - before.partialDecodeCount
  }
}

extension LiveStudy.Part {
  /// Frames per second and PSNR of each setting by the fraction that changes, and the flicker of the
  /// still clip.
  var table: String {
    let labels = LiveStudy.ways.map(\.label)
    func cell(_ row: LiveStudy.Row) -> String {
      let psnr = row.psnr.map { String(format: "%.1f dB", $0) } ?? "identical"
      return "\(BenchmarkChart.significant(row.rate)), \(psnr)"
    }
    let cells = labels.map { label in
      let own = rows.filter { $0.label == label }
      return [label] + own.map(cell)
        + [own.first.map { String(format: "%.2f", $0.flicker) } ?? ""]
    }
    let header =
      ["frames/s, PSNR to whole frames"]
      + LiveStudy.fractions.map { "\(Int(100 * $0)) % changed" } + ["flicker at 0 %"]
    return "\(width) x \(height), \(frames) frames, \(steps) \(steps == 1 ? "step" : "steps"):\n\n"
      + BenchmarkTable(header: header, rows: cells).text
  }
}
