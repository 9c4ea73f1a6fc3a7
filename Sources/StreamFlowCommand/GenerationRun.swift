internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import Foundation
internal import StreamFlow

/// The pictures that a run makes, worked out a portion at a time.
protocol PictureWork: Sendable {
  /// The number of pictures.
  var pictureCount: Int { get }
  /// A request like all of them.
  var sample: GenerationRequest { get }
  /// The prompts of all of them, each at least once.
  var prompts: [String] { get }
  /// How much of their sources is made anew, if they have any.
  var strength: Double? { get }
  /// The most pictures that are asked for at once.
  var portion: Int { get }
  /// The requests of some pictures, or why one cannot be made.
  func requests(_ range: Range<Int>) -> [Result<GenerationRequest, any Error>]
  /// What a picture's file is named after.
  func name(of index: Int) -> String
  /// The file that a picture is made of, if any.
  func source(of index: Int) -> String?
}

/// One run of `streamflow generate` or `transform`: pulls pictures, writes them, and says what was
/// done.
struct GenerationRun {
  enum Style { case plain, quiet, json }

  let generator: Generator
  let work: any PictureWork
  let output: PictureOutput
  let style: Style

  private struct Written: Encodable {
    let file: String
    let source: String?
    let prompt: String
    let seed: UInt64
  }

  /// Pictures that were asked for together.
  private struct Portion {
    /// The number among all pictures of each.
    let indices: [Int]
    var iterator: ImageStream.Iterator
  }

  private struct Report: Encodable {
    let model: String
    let width: Int
    let height: Int
    let steps: Int
    let strength: Double?
    let rows: Int
    let pictures: [Written]
    let contactSheet: String?
    let failed: Int
    let prepareSeconds: Double
    let seconds: Double
    let picturesPerSecond: Double
    let ticks: Int
    let tickSeconds: Double
    let engineSeconds: Double
    let decodeSeconds: Double
    let engines: [Engine]
    let loras: [Addition]
    let deltaWeights: [Addition]
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

  /// What failed, counted; inputs that cannot be read are told apart from images that failed.
  private struct Failures {
    var count = 0
    var unreadableCount = 0

    /// 65 (EX_DATAERR) where only inputs were at fault, else 70.
    var status: ExitCode { ExitCode(unreadableCount == count ? EX_DATAERR : EX_SOFTWARE) }

    mutating func add(_ error: any Error) {
      count += 1
      if ExitStatus.of(error) != ExitCode(EX_SOFTWARE) { unreadableCount += 1 }
    }
  }

  func callAsFunction() async throws {
    tellAdditions()
    warnOfCutPrompts()
    warnOfIdleGuidance()
    let bar = ProgressBar(total: work.pictureCount, isVisible: style == .plain)
    bar.show("preparing engines ...")
    var written: [Written] = []
    var pictures: [Int: PixelImage] = [:]
    var failed = Failures()
    var asked = 0
    var output = output
    var interruption: (any Error)?
    var portion = try await ask(from: &asked, failed: &failed)
    if portion != nil { try await generator.prepare() }
    let start = ContinuousClock.now
    var seconds = 0.0
    bar.advance(to: 0)
    pulling: while var current = portion {
      do {
        // Asked for ahead, so that there is no gap between this portion and the next.
        portion = try await ask(from: &asked, failed: &failed)
        while true {
          do {
            if written.count + failed.count == work.pictureCount, await generator.hasUnkeptEngines {
              bar.show("keeping the engines for the next run (Ctrl-C twice skips that) ...")
            }
            guard let picture = try await current.iterator.next() else { break }
            let index = current.indices[picture.index]
            let path = try output.write(
              picture, index: index, name: work.name(of: index),
              parameters: generator.parameters(of: picture.request))
            if output.wantsSheet { pictures[index] = picture.image }
            written.append(
              Written(
                file: path, source: work.source(of: index), prompt: picture.request.prompt,
                seed: picture.request.seed))
            seconds = (ContinuousClock.now - start).seconds
            bar.advance(to: written.count)
            if style == .plain, !bar.isVisible { Terminal.output(path) }
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
    bar.finish()
    let sheet = try output.writeSheet(of: pictures.sorted { $0.key < $1.key }.map(\.value))
    try await report(written, sheet: sheet, failed: failed.count, seconds: seconds)
    if let interruption { throw interruption }
    if failed.count > 0 { throw failed.status }
  }

  /// Asks for the next portion; a picture that cannot be asked for is told, and the others come.
  private func ask(from asked: inout Int, failed: inout Failures) async throws -> Portion? {
    while asked < work.pictureCount {
      let range = asked..<min(asked + work.portion, work.pictureCount)
      asked = range.upperBound
      var (requests, indices): ([GenerationRequest], [Int]) = ([], [])
      for (index, request) in zip(range, work.requests(range)) {
        switch request {
        case .success(let request):
          requests.append(request)
          indices.append(index)
        case .failure(let error):
          Terminal.error("\(error)")
          failed.add(error)
        }
      }
      guard !requests.isEmpty else { continue }
      let stream = try await generator.images(for: requests)
      return Portion(indices: indices, iterator: stream.makeAsyncIterator())
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
    // All requests of a run read their prompts alike.
    let sample = work.sample
    let negatives = sample.guidance.readsUnprompted ? [sample.negativePrompt] : []
    let others = negatives + (sample.blend?.parts.map(\.prompt) ?? [])
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
    if !negative.isEmpty, !guidance.readsUnprompted || guidance.scale == 1 {
      Terminal.warning(
        "the negative prompt does nothing here: it is read by guidance that is full or "
          + "onetime-negative, at a --guidance-scale other than 1")
    } else if guidance.readsUnprompted || guidance.needsReference, guidance.scale == 1 {
      Terminal.warning(
        "guidance of scale 1 changes nothing: --guidance-scale says how strong it is")
    }
  }

  private func report(
    _ written: [Written], sheet: String?, failed: Int, seconds: Double
  ) async throws {
    let rate = seconds > 0 ? Double(written.count) / seconds : 0
    let statistics = await generator.statistics
    switch style {
    case .quiet: return
    case .plain:
      let count =
        "\(written.count)" + (written.count < work.pictureCount ? " of \(work.pictureCount)" : "")
      let plural = work.pictureCount == 1 ? "picture" : "pictures"
      let place = written.count == 1 ? written[0].file : output.folder
      Terminal.output(
        String(
          format: "%@ %@ in %.2f s, %.2f a second (engines ready in %.2f s): %@", count, plural,
          seconds, rate, statistics.preparation.seconds, place))
      if let sheet { Terminal.output("contact sheet: \(sheet)") }
    case .json:
      let report = Report(
        model: generator.checkpoint.name, width: generator.width, height: generator.height,
        steps: work.sample.stepCount, strength: work.strength, rows: generator.rowCapacity,
        pictures: written,
        contactSheet: sheet, failed: failed, prepareSeconds: statistics.preparation.seconds,
        seconds: seconds, picturesPerSecond: rate, ticks: statistics.tickCount,
        tickSeconds: statistics.tickTime.seconds, engineSeconds: statistics.engineTime.seconds,
        decodeSeconds: statistics.decodeTime.seconds,
        engines: statistics.engines.map {
          Engine(
            name: $0.name, isCached: $0.origin == .cached, seconds: $0.preparation.seconds,
            gigaflop: Double($0.operationCount) / 1e9)
        },
        loras: generator.checkpoint.additions.filter { $0.kind == .lora }.map(Addition.init),
        deltaWeights: generator.checkpoint.additions.filter { $0.kind == .delta }.map(Addition.init)
      )
      try Terminal.output(JSON.text(of: report))
    }
  }
}

/// JSON as the command prints it.
enum JSON {
  static func text(of value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
