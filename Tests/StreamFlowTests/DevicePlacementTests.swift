import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Which parts of a model leave a device that has too little memory for them.
@Suite(.tags(.engine)) struct DevicePlacementTests {
  private static let checkpoint = Result { try Checkpoint.starter64() }

  private static func byteCount(_ role: Component.Role) throws -> Int {
    try checkpoint.get().weights(of: role).parameterCount * 4
  }

  private static func placement(_ weightsByteCount: Int) -> DevicePlacement {
    var placement = DevicePlacement()
    // A quarter of the memory is not for weights.
    placement.overflow = DevicePlacement.Overflow(
      memoryByteCount: weightsByteCount * 4 / 3 + 4, device: .ofTests)
    return placement
  }

  @Test("The text encoders leave first, then the autoencoder; the network stays")
  func order() throws {
    let network = try Self.byteCount(.network)
    let autoencoder = try Self.byteCount(.autoencoder)
    let all = try network + autoencoder + Self.byteCount(.textEncoder(0))
    for (byteCount, parts) in [
      (all, []), (all - 1000, [.text]), (network + autoencoder, [.text]),
      (network + autoencoder - 1000, [.text, .decoder]), (0, [.text, .decoder]),
    ] as [(Int, [DevicePlacement.Part])] {
      let placed = Self.placement(byteCount).resolved(
        for: try Self.checkpoint.get(), on: .cpu, .float32)
      #expect(placed.parts == parts, "\(byteCount)")
      #expect(placed.overflow == nil)
    }
    // Weights take half as much in 16 bits.
    let half = Self.placement(all / 2 + 4).resolved(
      for: try Self.checkpoint.get(), on: .cpu, .float16)
    #expect(half.parts.isEmpty)
  }

  @Test("A part with a device of its own neither leaves it nor counts")
  func placed() throws {
    let (network, autoencoder) = (try Self.byteCount(.network), try Self.byteCount(.autoencoder))
    var placement = Self.placement(network + autoencoder)
    let own = EngineStore(backends: [], device: DeviceName(name: "GPU.1"))
    placement[.text] = own
    let resolved = placement.resolved(for: try Self.checkpoint.get(), on: .cpu, .float32)
    #expect(resolved.parts == [.text] && resolved[.text] === own)
    // On the network's device it counts, and the next part leaves.
    placement[.text] = EngineStore(backends: [], device: .cpu)
    #expect(
      placement.resolved(for: try Self.checkpoint.get(), on: .cpu, .float32)[.decoder] != nil)
    #expect(
      DevicePlacement().resolved(for: try Self.checkpoint.get(), on: .cpu, .float32).parts.isEmpty)
  }

  @Test("Images do not depend on where the text and the pixels are computed")
  func images() async throws {
    var request = GenerationRequest(prompt: "a fox")
    (request.seed, request.stepCount) = (7, 2)
    var images: [PixelImage] = []
    for placement in [DevicePlacement(), Self.placement(0)] {
      let pool = try GeneratorPool(
        checkpoint: Self.checkpoint.get(), devices: [.ofTests], placement: placement)
      for try await image in try await pool.images(for: [request]) { images.append(image.image) }
    }
    #expect(images.count == 2 && images[0] == images[1])
  }
}
