import FlowCore
import FlowDigest
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// The images of every family, guidance, schedule, solver and precision, as hashes: a change of
/// structure changes no bit of them.
///
/// Hashes differ between processors, so none are committed. `STREAMFLOW_IMAGE_HASHES` names a file:
/// the first run writes it, and later ones on the same machine are compared with it.
@Suite(.tags(.engine)) struct SameImagesTests {
  private static let file = ProcessInfo.processInfo.environment["STREAMFLOW_IMAGE_HASHES"]

  @Test(
    "Images are those that were recorded before, bit for bit",
    .enabled(if: ProcessInfo.processInfo.environment["STREAMFLOW_IMAGE_HASHES"] != nil))
  func same() async throws {
    var hashes: [String: String] = [:]
    for model in ["sd", "sdxl", "lcm"] {
      hashes.merge(try await Self.images(of: model)) { $1 }
    }
    hashes.merge(try await Self.starterImages()) { $1 }
    hashes.merge(try await Self.liveFrames()) { $1 }
    #expect(hashes.count >= 200, "\(hashes.count) images")
    let url = URL(filePath: try #require(Self.file))
    guard FileManager.default.fileExists(atPath: url.path) else {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      return try encoder.encode(hashes).write(to: url)
    }
    let recorded = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: url))
    let changed = Set(recorded.keys).union(hashes.keys).filter { recorded[$0] != hashes[$0] }
    #expect(changed.isEmpty, "\(changed.count) of \(recorded.count): \(changed.sorted())")
  }

  private static func hash(_ image: PixelImage) throws -> String {
    try MessageDigest.sha256(of: image.pixels).digits
  }

  private static func hashes(
    _ requests: [(name: String, request: GenerationRequest)], _ checkpoint: Checkpoint,
    rows: Int, width: Int? = nil, tiling: DecodeTiling = .automatic
  ) async throws -> [String: String] {
    var options = GeneratorOptions()
    (options.rowCapacity, options.width, options.decodeRowCapacity) = (rows, width, 1)
    options.decodeTiling = tiling
    // One row each, whatever the machine's speed makes of the number that fly.
    options.engineRowCapacity = rows > 2 ? 1 : rows
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    var hashes: [String: String] = [:]
    for try await image in try await generator.images(for: requests.map(\.request)) {
      hashes["\(checkpoint.name) \(requests[image.index].name)"] = try hash(image.image)
    }
    return hashes
  }

  private static func images(of model: String) async throws -> [String: String] {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder(model))
    let schedules = [
      "auto", "flow-match", "rectified", "perflow", "perflow:windows=2,prediction=ddim_eps", "lcm",
      "euler", "euler-ancestral",
    ]
    // Stated explicitly: the recorded values must not change when solvers are added.
    let solvers: [Solver] = [.euler, .heun, .adamsBashforth2]
    var guidances: [Guidance] = [.none, .full(scale: 4), .onetimeNegative(scale: 3, delta: 0.9)]
    if model == "lcm" { guidances.append(.distilled(scale: 7)) }
    var requests: [(String, GenerationRequest)] = []
    for schedule in schedules {
      for guidance in guidances {
        for solver in schedule == "flow-match" ? solvers : [.euler] {
          var request = GenerationRequest(prompt: "a (fox:1.2) in the snow")
          request.negativePrompt = "blur"
          request.schedule = try #require(ScheduleChoice(schedule))
          request.guidance = guidance
          request.solver = solver
          request.stepCount = 5
          request.seed = UInt64(requests.count)
          request.noiseSource = requests.count.isMultiple(of: 2) ? .cpu : .cuda
          guard (try? checkpoint.check(request)) != nil,
            (try? checkpoint.plan(for: request, width: 64, height: 64)) != nil
          else { continue }
          requests.append(("\(schedule) \(guidance) \(solver)", request))
          guard case .full = guidance, solver == .euler else { continue }
          request.source = InputImage(image: LiveStreamTests.input(3), strength: 0.6)
          requests.append(("\(schedule) \(guidance) image", request))
          request.guidance = .selfNegative(scale: 2, delta: 0.8)
          requests.append(("\(schedule) residual image", request))
          request.source = nil
          request.guidance = guidance
          request.prompt += String(repeating: ", and a very long list of words", count: 14)
          requests.append(("\(schedule) \(guidance) long", request))
        }
      }
    }
    // Alone: a prompt in flight beside a longer one is repeated, which rounds differently.
    let long = requests.filter { $0.0.hasSuffix("long") }
    let short = requests.filter { !$0.0.hasSuffix("long") }
    return try await hashes(short, checkpoint, rows: 4)
      .merging(hashes(long, checkpoint, rows: 2)) { $1 }
  }

  private static func starterImages() async throws -> [String: String] {
    let checkpoint = try Checkpoint.starter64()
    var requests: [(String, GenerationRequest)] = []
    for (index, prompt) in ["a fox", "red apple on a white background", "dog face"].enumerated() {
      for steps in [1, 2, 4, 7] {
        for guidance in [Guidance.none, .full(scale: 2), .onetimeNegative(scale: 1.5)] {
          var request = GenerationRequest(prompt: prompt)
          request.blend =
            index == 1 ? PromptBlend([.init(prompt: "a cat", weight: 0.3)]) : nil
          request.seedBlend = index == 2 ? SeedBlend(seed: 9, fraction: 0.4) : nil
          (request.seed, request.stepCount, request.guidance) = (UInt64(index), steps, guidance)
          requests.append(("\(prompt) \(steps) \(guidance)", request))
        }
      }
    }
    var hashes = try await hashes(requests, checkpoint, rows: 8)
    let few = requests.prefix(6).map { ("wide \($0.0)", $0.1) }
    hashes.merge(try await Self.hashes(few, checkpoint, rows: 4, width: 96)) { $1 }
    let pair = requests.filter { $0.1.guidance == .full(scale: 2) }.map { ("pair \($0.0)", $0.1) }
    hashes.merge(try await Self.hashes(pair, checkpoint, rows: 2)) { $1 }
    let eight = requests.map { ("int8 \($0.0)", $0.1) }
    hashes.merge(try await Self.hashes(eight, checkpoint.quantized(), rows: 8)) { $1 }
    return hashes
  }

  private static func liveFrames() async throws -> [String: String] {
    var hashes: [String: String] = [:]
    for policy in LiveSettings.SeedPolicy.allCases {
      let settings = LiveStreamTests.settings { settings in
        settings.seedPolicy = policy
        if policy == .perFrame { settings.request.guidance = .selfNegative(scale: 1.5) }
      }
      let stream = try LiveStreamTests.stream(settings, rows: 1)
      let frames = try await LiveStreamTests.run(
        stream, inputs: (0..<12).map { LiveStreamTests.input($0) })
      for frame in frames {
        hashes["live \(policy) \(frame.index)"] = try hash(try #require(frame.image))
      }
    }
    return hashes
  }
}
