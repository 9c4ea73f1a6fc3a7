import FlowCore
import FlowEngine
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Adapters as settings of a live stream.
@Suite(.tags(.engine)) struct LiveAdapterTests {
  private static func checkpoint() throws -> Checkpoint {
    try Checkpoint(folder: PipelineTests.folder("sd")).attaching([
      AdapterFile(path: PipelineTests.folder("controlnet")),
      AdapterFile(path: PipelineTests.folder("t2i-adapter")),
    ])
  }

  private static func stream(_ checkpoint: Checkpoint) throws -> LiveStream {
    var settings = LiveSettings(prompt: "a fox")
    (settings.request.stepCount, settings.request.seed) = (3, 5)
    settings.request.schedule = .automatic
    settings.strength = 0.8
    var options = LiveOptions()
    options.rowCapacity = 4
    return try LiveStream(
      checkpoint: checkpoint, settings: settings, options: options, engines: .ofTests)
  }

  /// Expects each frame to be the image that its settings give alone.
  private static func expectAlone(
    _ frames: [LiveFrame], inputs: [PixelImage], _ checkpoint: Checkpoint
  ) async throws {
    var options = GeneratorOptions()
    options.rowCapacity = 2
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    for frame in frames {
      let image = try #require(frame.image)
      let request = frame.settings.request(for: inputs[frame.index], index: frame.index)
      let alone = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
      // A rounding to 8 bits can fall the other way in the network and in the decoder.
      expectClose(
        image.pixels.map(Float.init), try #require(alone.first).image.pixels.map(Float.init),
        tolerance: 2)
    }
  }

  @Test("A still image, each frame through a preprocessor, both, another strength, and none again")
  func changes() async throws {
    let checkpoint = try Self.checkpoint()
    let stream = try Self.stream(checkpoint)
    let inputs = (0..<12).map { LiveStreamTests.input($0, width: 64, height: 64) }
    let still = LiveStreamTests.input(40, width: 90, height: 50)
    let frames = try await LiveStreamTests.run(stream, inputs: inputs) { index in
      guard index > 0, index % 2 == 0 else { return }
      await stream.drain()
      let change = try await stream.update { settings in
        let edges = ControlInput("controlnet", preprocessing: ControlImage(.canny), scale: 0.7)
        let reference = ControlInput("t2i-adapter", image: still, range: 0...0.7)
        switch index {
        case 2: settings.request.controls = [reference]
        case 4: settings.request.controls = [edges]
        case 6: settings.request.controls = [edges, reference]
        case 8: settings.request.controls[0].scale = 0.2
        default: settings.request.controls = []
        }
      }
      #expect(change.needsEngines == [2, 4, 6].contains(index))
      try await change.settled()
    }
    #expect(frames.map(\.settings.request.controls.count) == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0])
    try await Self.expectAlone(frames, inputs: inputs, checkpoint)
  }

  @Test("While an adapter's engines are made, frames go on, with everything else that changed")
  func noStall() async throws {
    let checkpoint = try Self.checkpoint()
    let stream = try Self.stream(checkpoint)
    try await stream.prepare()
    let inputs = (0..<3).map { LiveStreamTests.input($0, width: 64, height: 64) }
    var iterator = stream.frames.makeAsyncIterator()
    let change = try await stream.update { settings in
      settings.request.controls = [ControlInput("controlnet")]
      settings.request.prompt = "a rocket"
    }
    #expect(change.needsEngines)
    await stream.submit(inputs[0], timestamp: .zero)
    let first = try #require(try await iterator.next())
    #expect(first.settings.request.prompt == "a rocket" && first.settingsNumber == change.number)
    try await change.settled()
    await stream.submit(inputs[1], timestamp: .zero)
    let second = try #require(try await iterator.next())
    #expect(second.settings.request.controls.count == 1)
    #expect(second.image != nil)
    // A wrong change is refused, and changes nothing.
    let error = await #expect(throws: ModelError.self) {
      try await stream.update { $0.request.controls = [ControlInput("depth")] }
    }
    #expect(error?.message.contains("no adapter 'depth'") == true)
    await stream.submit(inputs[2], timestamp: .zero)
    #expect(try await iterator.next()?.settings.request.controls.count == 1)
    await stream.cancel()
  }
}
