internal import FlowCore
internal import FlowText
internal import Foundation

/// A piece of pure code whose instructions are counted.
enum Part: String, CaseIterable {
  /// A tick of 16 rows without a network: gather, step, scatter.
  case tick
  /// A tick of 8 images under full guidance: 16 rows.
  case fullGuidance = "full-guidance"
  /// A tick of 16 images under onetime-negative guidance.
  case residualGuidance = "residual-guidance"
  /// The noise of an image at 512 pixels, as PyTorch's CPU generator has it.
  case noise
  /// The same as its CUDA generator has it.
  case philox
  /// A prompt of a dozen words to tokens.
  case tokenizer
  /// A plan of 50 steps.
  case plan
  /// A frame of 512 pixels, compared with the one before.
  case frameGate = "frame-gate"

  /// Runs it so often.
  func run(_ count: Int) throws {
    switch self {
    case .tick: try ticks(count, pictures: 16, guidance: .none)
    case .fullGuidance: try ticks(count, pictures: 8, guidance: .full(scale: 2))
    case .residualGuidance:
      try ticks(count, pictures: 16, guidance: .onetimeNegative(scale: 2, delta: 1))
    case .noise: draw(count, source: .cpu)
    case .philox: draw(count, source: .cuda)
    case .tokenizer:
      let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../Tests/FlowTestSupport/Fixtures/starter-64/tokenizer")
        .standardized.path
      let tokenizer = try CLIPTokenizer(folder: folder)
      for index in 0..<count {
        let prompt = "a \(index) year old red fox, it isn't asleep, on a blue background at night"
        keep(tokenizer.encode(prompt, length: 24).tokens.count)
      }
    case .plan:
      for _ in 0..<count {
        keep(try FlowMatchingSchedule().plan(stepCount: 50, solver: .heun, strength: 1).rows.count)
      }
    case .frameGate:
      var gate = FrameGate()
      let images = [UInt8(40), 41].map {
        PixelImage(
          width: 512, height: 512, pixels: [UInt8](repeating: $0, count: 3 * 512 * 512))
      }
      for index in 0..<count { keep(gate.admits(images[index % 2]) ? 1 : 0) }
    }
  }

  private func draw(_ count: Int, source: GaussianNoise.Source) {
    for index in 0..<count {
      var noise = GaussianNoise(seed: UInt64(index), source: source)
      keep(Int(noise.latents(shape: [4, 64, 64]).scalars[0] * 1000))
    }
  }

  private func ticks(_ count: Int, pictures: Int, guidance: Guidance) throws {
    var field = CopyingField(rowCapacity: 32, count: 4 * 64 * 64)
    var batch = StreamBatch<Int>(rowCapacity: 32)
    // So long that none of them ends.
    let plan = try FlowMatchingSchedule().plan(stepCount: 1000, solver: .euler, strength: 1)
    for id in 0..<pictures {
      batch.admit(
        Trajectory(
          id: id, plan: plan, guidance: guidance, prompted: 1, unprompted: 0,
          noise: GaussianNoise(seed: UInt64(id)), shape: [4, 64, 64]))
    }
    for _ in 0..<min(count, 999) { try batch.advance(along: &field) }
    keep(batch.tickCount)
  }
}

/// A field that gives back what it was given: the cost of a network of no cost.
private struct CopyingField: VelocityField {
  let rowCapacity: Int
  private let count: Int
  private var rows: [Float]

  init(rowCapacity: Int, count: Int) {
    (self.rowCapacity, self.count) = (rowCapacity, count)
    rows = [Float](repeating: 0, count: rowCapacity * count)
  }

  mutating func begin(rowCount: Int) throws(PlanError) {}

  mutating func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Int) {
    let start = row * count
    var target = rows.mutableSpan
    for index in sample.indices { target[start + index] = sample[index] }
  }

  mutating func run() throws(PlanError) {}

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    let span = rows.span
    body(span.extracting(row * count..<(row + 1) * count))
  }
}

/// Keeps a result from being left out.
@inline(never) private func keep(_ value: Int) {
  if value == Int.min { print(value) }
}
