import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// Whole models of FLUX.2 klein and Z-Image against diffusers' pipelines.
@Suite(.tags(.engine)) struct Flux2ZImageModelTests {
  @Test("Prompts of any length become the states that the networks read", arguments: 0...2)
  func flux2Text(index: Int) async throws {
    let fixture = try ModelFixture("flux2")
    let states = try await fixture.states(of: fixture.prompts[index])
    #expect(states.hidden.count == 512 * 48 && states.chunkCount == 1)
    // The padding is read too.
    let (first, last) = (
      try fixture.golden.floats("text.\(index).hidden"),
      try fixture.golden.floats("text.\(index).last")
    )
    expectClose(Array(states.hidden.prefix(first.count)), first, relativeTolerance: 1e-4)
    expectClose(Array(states.hidden.suffix(last.count)), last, relativeTolerance: 1e-4)
  }

  @Test("Of Z-Image's prompts no padding is read but up to a multiple of 32", arguments: 0...2)
  func zimageText(index: Int) async throws {
    let fixture = try ModelFixture("zimage")
    let states = try await fixture.states(of: fixture.prompts[index])
    let expected = try fixture.golden.floats("text.\(index).hidden")
    #expect(states.tokenCount == [17, 65, 11][index] && states.chunkCount == [1, 3, 1][index])
    #expect(states.hidden.count == states.chunkCount * 32 * 24)
    expectClose(Array(states.hidden.prefix(expected.count)), expected, relativeTolerance: 1e-4)
    #expect(states.hidden.dropFirst(expected.count).allSatisfy { $0 == 0 })
    let conditioning = fixture.family.conditioning(
      of: states, guidanceScale: 1, size: PixelSize(width: 32, height: 32))
    #expect(conditioning.elements(of: "count") == [Float(states.chunkCount * 32)])
    #expect(conditioning.elements(of: "realCount") == [Float(states.tokenCount)])
  }

  @Test(
    "Images are diffusers', with guidance and without, of any shape",
    arguments: [("flux2", 0), ("flux2", 1), ("flux2", 2)] + (0...3).map { ("zimage", $0) })
  func images(name: String, index: Int) async throws {
    let fixture = try ModelFixture(name)
    let pixels = try await fixture.image(index)
    expectClose(
      pixels.map(Float.init), try fixture.golden.floats("\(index).pixels"), tolerance: 2)
  }

  @Test("What the models are, and what suits them")
  func kinds() throws {
    let (flux2, zimage) = (try ModelFixture("flux2"), try ModelFixture("zimage"))
    #expect(flux2.checkpoint.scheduleFinding.reason.hasPrefix("FLUX.2 klein base: "))
    #expect(zimage.checkpoint.scheduleFinding.reason.hasPrefix("Z-Image: "))
    let turbo = try Checkpoint(folder: zimage.checkpoint.folder, name: "Z-Image-Turbo")
    #expect(turbo.defaults() == GenerationDefaults(stepCount: 8, guidanceScale: 1))
    #expect(flux2.checkpoint.defaults() == GenerationDefaults(stepCount: 50, guidanceScale: 4))
    #expect(flux2.checkpoint.sizeMultiple == 8 && zimage.checkpoint.sizeMultiple == 8)
  }

  @Test("A folder that says that it is distilled is klein")
  func distilled() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/klein"
    try FileManager.default.copyItem(
      atPath: Bundle.module.fixture("pipelines/flux2"), toPath: path)
    let index = "\(path)/model_index.json"
    let text = try String(contentsOfFile: index, encoding: .utf8)
    try text.replacingOccurrences(of: "\"is_distilled\": false", with: "\"is_distilled\": true")
      .write(toFile: index, atomically: true, encoding: .utf8)
    let klein = try Checkpoint(folder: path)
    #expect(klein.defaults() == GenerationDefaults(stepCount: 4, guidanceScale: 1))
    #expect(klein.scheduleFinding.reason.hasPrefix("FLUX.2 klein: "))
  }

  @Test(
    "FLUX.2's shift of times is compute_empirical_mu",
    arguments: [
      (1024, 4, 2.0306897079), (4096, 4, 2.2911798941), (4096, 50, 2.0233511571),
      (4301, 50, 1.18469693), (4300, 200, 1.18452766),
    ] as [(Int, Int, Double)])
  func shift(tokens: Int, steps: Int, mu: Double) throws {
    let family = try ModelFixture("flux2").family
    guard case .exponential(let own) = family.timeShift(stepCount: steps, imageTokenCount: tokens)
    else {
      Issue.record("no exponent")
      return
    }
    #expect(abs(own - mu) < 1e-6)
  }

  @Test("A weight that nothing reads is refused, and one that is missing", arguments: [0, 1])
  func weights(model: Int) throws {
    let name = ["flux2", "zimage"][model]
    let fixture = try ModelFixture(name)
    let store = fixture.checkpoint.networkWeights
    func read(_ store: WeightStore) throws {
      switch fixture.family {
      case let family as Flux2: _ = try family.transformer.weights(store)
      case let family as ZImage: _ = try family.transformer.weights(store)
      default: Issue.record("another family")
      }
    }
    try read(store)
    let first = try #require(store.weights.keys.min())
    let missing = #expect(throws: GraphError.self) {
      try read(store.renamed { $0 == first ? nil : $0 })
    }
    #expect(missing?.message.contains("'\(first)'") == true)
    let unknown = #expect(throws: GraphError.self) {
      try read(store.merging(store.renamed { $0 == first ? "\($0).other" : nil }))
    }
    #expect(unknown?.message.contains("'\(first).other'") == true)
  }
}
