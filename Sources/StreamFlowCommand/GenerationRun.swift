internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import Foundation
internal import StreamFlow

/// One run of `streamflow generate`: pulls pictures, writes them, and says what was done.
struct GenerationRun {
  enum Style { case plain, quiet, json }

  let generator: Generator
  let requests: [GenerationRequest]
  let output: PictureOutput
  let style: Style
  let cache: EngineCache?

  private struct Written: Encodable {
    let file: String
    let prompt: String
    let seed: UInt64
  }

  private struct Report: Encodable {
    let model: String
    let width: Int
    let height: Int
    let steps: Int
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

  func callAsFunction() async throws {
    tellAdditions()
    warnOfCutPrompts()
    let bar = ProgressBar(total: requests.count, isVisible: style == .plain)
    bar.show("preparing engines ...")
    let stream = try await generator.images(for: requests)
    try await generator.prepare()
    let start = ContinuousClock.now
    var written: [Written] = []
    var pictures: [Int: PixelImage] = [:]
    var failed = 0
    var output = output
    var interruption: (any Error)?
    var iterator = stream.makeAsyncIterator()
    var seconds = 0.0
    bar.advance(to: 0)
    pulling: while true {
      do {
        if written.count + failed == requests.count, await generator.hasUnkeptEngines {
          bar.show("keeping the engines for the next run (Ctrl-C twice skips that) ...")
        }
        guard let picture = try await iterator.next() else { break pulling }
        let path = try output.write(picture, parameters: generator.parameters(of: picture.request))
        if output.wantsSheet { pictures[picture.index] = picture.image }
        written.append(
          Written(file: path, prompt: picture.request.prompt, seed: picture.request.seed))
        seconds = (ContinuousClock.now - start).seconds
        bar.advance(to: written.count)
        if style == .plain, !bar.isVisible { Terminal.output(path) }
      } catch let error as ModelError where error.code == .notFinite {
        Terminal.error(error.message)
        failed += 1
      } catch {
        interruption = error
        break pulling
      }
    }
    bar.finish()
    let sheet = try output.writeSheet(of: pictures.sorted { $0.key < $1.key }.map(\.value))
    try await report(written, sheet: sheet, failed: failed, seconds: seconds)
    if let interruption { throw interruption }
    if failed > 0 { throw ExitCode(EX_SOFTWARE) }
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
    let negatives = requests.filter(\.guidance.readsUnprompted).map(\.negativePrompt)
    // All requests of a run read their prompts alike.
    let syntax = requests[0].promptSyntax
    for prompt in Set(requests.map(\.prompt) + negatives).sorted() {
      guard let cut = generator.cut(of: prompt, syntax: syntax) else { continue }
      Terminal.warning("the text encoder has no room for the end of a prompt: '\(cut)' was cut")
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
        "\(written.count)" + (written.count < requests.count ? " of \(requests.count)" : "")
      let plural = requests.count == 1 ? "picture" : "pictures"
      let place = written.count == 1 ? written[0].file : output.folder
      Terminal.output(
        String(
          format: "%@ %@ in %.2f s, %.2f a second (engines ready in %.2f s): %@", count, plural,
          seconds, rate, statistics.preparation.seconds, place))
      if let sheet { Terminal.output("contact sheet: \(sheet)") }
    case .json:
      let report = Report(
        model: generator.checkpoint.name, width: generator.width, height: generator.height,
        steps: requests[0].stepCount, rows: generator.rowCapacity, pictures: written,
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
