internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// The images of a run, requested in portions.
protocol ImageWork: Sendable {
  /// The number of images.
  var imageCount: Int { get }
  /// The number of images of each prompt or input.
  var count: Int { get }
  /// An example of its requests.
  var sample: GenerationRequest { get }
  /// The prompts of all of them, each at least once.
  var prompts: [String] { get }
  /// The denoising strength, for image-to-image.
  var strength: Double? { get }
  /// The maximum number of images that are requested at once.
  var portion: Int { get }
  /// The requests of some images, or the error of each that cannot be requested.
  func requests(_ indices: [Int]) -> [Result<GenerationRequest, any Error>]
  /// The request of an image without its input pixels: its settings.
  func description(of index: Int) -> GenerationRequest
  /// The name that an image's file name is derived from.
  func name(of index: Int) -> String
  /// The input file of an image, if any.
  func source(of index: Int) -> String?
  /// An image as it is written.
  func finished(_ image: GeneratedImage, at index: Int) throws -> PixelImage
}

extension ImageWork {
  func finished(_ image: GeneratedImage, at index: Int) throws -> PixelImage { image.image }
}

/// One run of `streamflow generate` or `edit`: requests images, writes them, and reports.
struct GenerationRun {
  enum Style { case plain, quiet, json }

  let generator: GeneratorPool
  let work: any ImageWork
  let output: ImageOutput
  let outputOptions: OutputOptions
  let reporting: ReportOptions
  /// Whether the seed is random, so that it is reported.
  let hasRandomSeed: Bool
  /// This process's share, if others generate the rest.
  var share: WorkShare?
  /// The postprocessing of generated images.
  var finish = ImageFinish()
  /// The floating-point precision of each device.
  let precisions: [PrecisionFinding]

  private var style: Style { reporting.style }

  private struct Written: Encodable {
    let file: String
    let source: String?
    let prompt: String
    let seed: UInt64
  }

  /// Images that were requested together.
  private struct Portion {
    /// The index of each among all images.
    let indices: [Int]
    var iterator: FinishedImages.Iterator
  }

  private struct Report: Encodable {
    let model: String
    let width: Int
    let height: Int
    let steps: Int
    let strength: Double?
    let hires: Double?
    let upscale: Int?
    let rows: Int
    let pictures: [Written]
    let contactSheet: String?
    let failed: Int
    let skipped: Int
    let prepareSeconds: Double
    let seconds: Double
    let imagesPerSecond: Double
    let ticks: Int
    let tickSeconds: Double
    let engineSeconds: Double
    let decodeSeconds: Double
    let engines: [Engine]
    let devices: [DeviceReport]
    let loras: [Addition]
    let deltaWeights: [Addition]
    let warnings: [AdviceReport]
  }

  private struct Addition: Encodable {
    let file: String
    let scale: Float
    let applied: Int
    let tensors: Int
    let rest: [String]

    init(_ applied: AppliedWeights) {
      file = applied.path
      scale = applied.scale
      self.applied = applied.appliedCount
      tensors = applied.tensorCount
      rest = applied.rest
    }
  }

  private struct Engine: Encodable {
    let name: String
    let isCached: Bool
    let seconds: Double
    let gigaflop: Double
  }

  /// The number of failures: unreadable inputs, and images that failed.
  private struct Failures {
    var count = 0
    var unreadableCount = 0

    /// 65 (EX_DATAERR) if only inputs were at fault, else 70.
    var status: ExitCode { ExitCode(unreadableCount == count ? EX_DATAERR : EX_SOFTWARE) }

    mutating func add(_ error: any Error) {
      count += 1
      if ExitStatus.of(error) != ExitCode(EX_SOFTWARE) { unreadableCount += 1 }
    }
  }

  func callAsFunction() async throws {
    var output = output
    let resumed = try resume(&output)
    let remaining = indices.filter { resumed[$0] == nil }
    let manifest = try manifest(of: resumed, remaining: remaining, in: output)
    tellAdditions()
    warnOfCutPrompts()
    warnOfIdleGuidance()
    if style != .quiet { Terminal.warn(advice, of: generator.checkpoint) }
    let meter = GenerationMeter(
      imageTotal: remaining.count, stepsPerImage: work.sample.stepCount,
      evaluationsPerImage: (try? generator.evaluationCount(of: work.description(of: 0))) ?? 1,
      isVisible: style == .plain && !reporting.hidesProgress)
    meter.show("preparing engines ...")
    var written: [Written] = []
    var pictures: [Int: PixelImage] = output.wantsSheet ? images(of: resumed) : [:]
    var failed = Failures()
    var asked = 0
    var interruption: (any Error)?
    var portion: Portion?
    var seconds = 0.0
    do {
      portion = try await ask(of: remaining, from: &asked, failed: &failed)
      if portion != nil { try await generator.prepare() }
    } catch {
      await meter.finish()
      throw error
    }
    let start = ContinuousClock.now
    meter.follow(generator)
    pulling: while var current = portion {
      do {
        // Requested ahead, so that there is no gap between this portion and the next.
        portion = try await ask(of: remaining, from: &asked, failed: &failed)
        while true {
          do {
            if written.count + failed.count == remaining.count,
              await generator.hasUnpersisted
            {
              meter.show("saving the engines for the next run (Ctrl-C twice skips that) ...")
            }
            guard let picture = try await current.iterator.next() else { break }
            let index = current.indices[picture.index]
            let image = try work.finished(picture, at: index)
            let path = try output.write(
              image, index: index, name: work.name(of: index),
              parameters: generator.parameters(of: picture))
            try manifest?.append(index, path: path, request: picture.request)
            if output.wantsSheet { pictures[index] = image }
            written.append(
              Written(
                file: path, source: work.source(of: index), prompt: picture.request.prompt,
                seed: picture.request.seed))
            seconds = (ContinuousClock.now - start).seconds
            meter.record(images: written.count + failed.count)
            if style == .plain, !meter.isVisible, path != "-" { say(path) }
          } catch let error as ModelError where error.code == .notFinite {
            Terminal.error(error.message)
            failed.add(error)
          }
        }
      } catch {
        interruption = error
        break pulling
      }
    }
    await meter.finish()
    let sheet = try output.writeSheet(of: pictures.sorted { $0.key < $1.key }.map(\.value))
    try await report(
      written, sheet: sheet, failed: failed.count, skipped: resumed.count, seconds: seconds)
    if let interruption { throw interruption }
    if failed.count > 0 { throw failed.status }
  }

  /// The images of this process.
  private var indices: [Int] { Array((share ?? .whole).indices(below: work.imageCount)) }

  /// The manifest of a share, with the images that exist already.
  ///
  /// - Throws: `fileUnwritable` if another image has the name of an image: names follow from the
  ///   index, so that it cannot have another.
  private func manifest(
    of finished: [Int: String], remaining: [Int], in output: ImageOutput
  ) throws -> Manifest? {
    guard let share, let folder = output.folder else { return nil }
    for index in remaining { try output.checkRoom(for: index, name: work.name(of: index)) }
    return try Manifest(
      of: share, imageCount: work.imageCount, in: folder,
      finished: finished.map { ($0.key, $0.value, work.description(of: $0.key)) })
  }

  /// Finds the images of an interrupted run, and continues its numbering.
  private func resume(_ output: inout ImageOutput) throws -> [Int: String] {
    guard outputOptions.resume else { return [:] }
    let run = ResumedRun(
      of: work, in: output, share: share, parameters: parameters(of:))
    try output.resume(run)
    return run.finished
  }

  /// The settings of a finished image.
  private func parameters(of request: GenerationRequest) -> String {
    finish.parameters(generator.parameters(of: request))
  }

  private func images(of files: [Int: String]) -> [Int: PixelImage] {
    files.compactMapValues { try? PixelImage(imageAt: $0) }
  }

  /// Prints a line, unless images go to standard output.
  func say(_ line: String) {
    if outputOptions.usesStandardOutput { Terminal.note(line) } else { Terminal.output(line) }
  }

  /// Requests the next portion; an image that cannot be requested is reported, and the others
  /// continue.
  private func ask(
    of remaining: [Int], from asked: inout Int, failed: inout Failures
  ) async throws -> Portion? {
    while asked < remaining.count {
      let range = asked..<min(asked + work.portion, remaining.count)
      asked = range.upperBound
      var (requests, indices): ([GenerationRequest], [Int]) = ([], [])
      for (index, request) in zip(remaining[range], work.requests(Array(remaining[range]))) {
        switch request {
        case .success(let request):
          requests.append(request)
          indices.append(index)
        case .failure(let error):
          Terminal.error(Remedy.words(error))
          failed.add(error)
        }
      }
      guard !requests.isEmpty else { continue }
      let images = finish.images(of: try await generator.images(for: requests))
      return Portion(indices: indices, iterator: images.makeAsyncIterator())
    }
    return nil
  }

  private func tellAdditions() {
    guard style != .quiet else { return }
    for addition in generator.checkpoint.additions {
      var line =
        "'\(addition.name)': \(addition.appliedCount) of \(addition.tensorCount) tensors applied"
      if !addition.rest.isEmpty {
        let more = addition.rest.count - 5
        line += "; not: " + addition.rest.prefix(5).joined(separator: ", ")
        if more > 0 { line += " and \(more) more" }
      }
      Terminal.note(line)
    }
  }

  private func warnOfCutPrompts() {
    guard style != .quiet else { return }
    // All requests of a run have the same prompt settings.
    let sample = work.sample
    let negatives = sample.guidance.readsUnprompted ? [sample.negativePrompt] : []
    let others =
      negatives + [sample.editing?.sourcePrompt].compactMap { $0 }
      + (sample.blend?.parts.map(\.prompt) ?? [])
    for prompt in Set(work.prompts + others).sorted() {
      guard let cut = generator.cut(of: prompt, syntax: sample.promptSyntax) else { continue }
      Terminal.warning("the text encoder has no room for the end of a prompt: '\(cut)' was cut")
    }
    let requests = work.prompts.map { prompt in
      var request = sample
      request.prompt = prompt
      return request
    }
    PromptWarnings.warnOfUnusedTags(in: requests, of: generator.checkpoint)
  }

  private func warnOfIdleGuidance() {
    guard style != .quiet else { return }
    let (guidance, negative) = (work.sample.guidance, work.sample.negativePrompt)
    // An edit may read the negative prompt by its own scales.
    if !negative.isEmpty, work.sample.editing == nil,
      !guidance.readsUnprompted || guidance.scale == 1
    {
      Terminal.warning(
        "the negative prompt does nothing here: it is used by guidance that is full or "
          + "onetime-negative, at a --guidance-scale other than 1")
    } else if guidance.readsUnprompted || guidance.needsReference, guidance.scale == 1 {
      Terminal.warning(
        "guidance of scale 1 changes nothing: set --guidance-scale to another value")
    }
  }

  private func report(
    _ written: [Written], sheet: String?, failed: Int, skipped: Int, seconds: Double
  ) async throws {
    let rate = seconds > 0 ? Double(written.count) / seconds : 0
    let statistics = await generator.statistics
    switch style {
    case .quiet: return
    case .plain:
      let total = indices.count - skipped
      let place = written.count == 1 ? written[0].file : output.place
      guard total > 0 else {
        if let share, indices.isEmpty {
          say("none of \(work.imageCount) images is of rank \(share.rank) of \(share.world)")
          return
        }
        say("all \(skipped) images were there already: \(output.file ?? output.place)")
        return
      }
      let isWhole = written.count == total
      say(
        String(
          format: "%@ %@ in %.2f s, %.2f images/s, engines ready in %.2f s%@: %@",
          isWhole ? "\(total)" : "\(written.count) of \(total)", total == 1 ? "image" : "images",
          seconds, rate, statistics.preparation.seconds,
          Self.details(seeds: hasRandomSeed ? written.map(\.seed) : [], skipped: skipped),
          place == "-" ? "standard output" : place))
      if let sheet { say("contact sheet: \(sheet == "-" ? "standard output" : sheet)") }
      await tellDevices()
    case .json:
      let report = Report(
        model: generator.checkpoint.name, width: generator.width, height: generator.height,
        steps: work.sample.stepCount, strength: work.strength,
        hires: finish.hires?.scale, upscale: finish.upscaling?.factor, rows: generator.rowCapacity,
        pictures: written,
        contactSheet: sheet, failed: failed, skipped: skipped,
        prepareSeconds: statistics.preparation.seconds,
        seconds: seconds, imagesPerSecond: rate, ticks: statistics.tickCount,
        tickSeconds: statistics.tickTime.seconds, engineSeconds: statistics.engineTime.seconds,
        decodeSeconds: statistics.decodeTime.seconds,
        engines: statistics.engines.map {
          Engine(
            name: $0.name, isCached: $0.origin == .cached, seconds: $0.preparation.seconds,
            gigaflop: Double($0.operationCount) / 1e9)
        },
        devices: await DeviceReport.all(of: generator, precisions),
        loras: generator.checkpoint.additions.filter { $0.kind == .lora }.map(Addition.init),
        deltaWeights: generator.checkpoint.additions.filter { $0.kind == .delta }
          .map(Addition.init), warnings: advice.map(AdviceReport.init))
      try Terminal.output(JSON.text(of: report))
    }
  }
}
