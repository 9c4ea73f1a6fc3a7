import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// The live stream: every input accounted for, in order, and each image the one it is alone.
@Suite(.tags(.engine)) struct LiveStreamTests {
  /// An input that differs from all others.
  static func input(_ index: Int, width: Int = 80, height: Int = 60) -> PixelImage {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        let levels = [x * 3 + index * 40, y * 4 + index * 17, x * y / 16 + index * 71]
        pixels += levels.map { UInt8($0 % 256) }
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  static func settings(_ change: (inout LiveSettings) -> Void = { _ in }) -> LiveSettings {
    var settings = LiveSettings(prompt: "a fox on a blue background")
    settings.request.stepCount = 3
    settings.request.seed = 5
    change(&settings)
    return settings
  }

  static func stream(
    _ settings: LiveSettings = settings(), rows: Int? = 4, frameBuffer: Int = 1,
    overlaps: Bool = true, spareByteCount: Int? = nil
  ) throws -> LiveStream {
    var options = LiveOptions()
    (options.rowCapacity, options.frameBuffer, options.overlaps) = (rows, frameBuffer, overlaps)
    options.spareByteCount = spareByteCount
    return try LiveStream(
      checkpoint: .starter64(), settings: settings, options: options, engines: .ofTests)
  }

  /// Puts inputs in and takes all frames out.
  static func run(
    _ stream: LiveStream, inputs: [PixelImage],
    before: @escaping @Sendable (Int) async throws -> Void = { _ in }
  ) async throws -> [LiveFrame] {
    let feeding = Task {
      for (index, image) in inputs.enumerated() {
        try await before(index)
        await stream.submit(image, timestamp: .milliseconds(40 * index))
      }
      await stream.finish()
    }
    var frames: [LiveFrame] = []
    for try await frame in stream.frames { frames.append(frame) }
    try await feeding.value
    return frames
  }

  /// Expects each image to be identical to the one of its input alone.
  static func expectAlone(_ frames: [LiveFrame], inputs: [PixelImage]) async throws {
    var generators: [[Int?]: Generator] = [:]
    for frame in frames {
      let image = try #require(frame.image)
      let size = [frame.settings.width, frame.settings.height]
      var options = GeneratorOptions()
      (options.width, options.height, options.rowCapacity) = (size[0], size[1], 2)
      let generator =
        try generators[size]
        ?? Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
      generators[size] = generator
      let request = frame.settings.request(for: inputs[frame.index], index: frame.index)
      let alone = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
      let expected = try #require(alone.first).image
      // Engines of other row counts sum in another order: a rounding to 8 bits may fall otherwise.
      expectClose(
        image.pixels.map(Float.init), expected.pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test(
    "Every guidance, in groups of one and of three, gives what each input gives alone, in order",
    arguments: [1, 3], [true, false])
  func exact(frameBuffer: Int, overlaps: Bool) async throws {
    let kinds: [Guidance] = [
      .none, .full(scale: 2), .selfNegative(scale: 2, delta: 0.8), .onetimeNegative(scale: 2),
    ]
    let inputs = (0..<7).map { Self.input($0) }
    for (index, guidance) in kinds.enumerated() {
      let settings = Self.settings {
        $0.request.guidance = guidance
        $0.strength = 0.4 + 0.15 * Double(index)
        $0.seedPolicy = index % 2 == 0 ? .fixed : .perFrame
        $0.fit = ImageFit(ImageFit.Kind.allCases[index % 3])
      }
      let stream = try Self.stream(settings, frameBuffer: frameBuffer, overlaps: overlaps)
      let frames = try await Self.run(stream, inputs: inputs)
      #expect(frames.map(\.index) == Array(0..<7))
      #expect(frames.map(\.timestamp) == (0..<7).map { .milliseconds(40 * $0) })
      #expect(Set(frames.compactMap(\.image)).count == 7)
      try await Self.expectAlone(frames, inputs: inputs)
      let statistics = await stream.statistics
      #expect(statistics.offeredCount == 7 && statistics.madeCount == 7)
    }
  }

  @Test("In steady state a tick makes an image: N stages, one admitted a tick")
  func steady() async throws {
    let stream = try Self.stream(rows: 3)
    await stream.pause()
    // All are on their way before the first tick: none is late because this task was.
    let feeding = Task {
      await withTaskGroup { group in
        for index in 0..<20 {
          group.addTask { await stream.submit(Self.input(index), timestamp: .zero) }
        }
      }
      await stream.finish()
    }
    while await stream.statistics.offeredCount < 20 { await Task.yield() }
    await stream.resume()
    var count = 0
    for try await _ in stream.frames { count += 1 }
    await feeding.value
    #expect(count == 20)
    // 20 images of 3 steps each, and two ticks more to fill and to empty it: a tick waits for an
    // input that is on its way. The last one may miss its tick, and fly alone.
    let statistics = await stream.statistics
    #expect(statistics.tickCount >= 22 && statistics.tickCount <= 24)
    #expect(statistics.tickGaps.count >= 20)
  }

  @Test("Everything is changed in the middle; frames say their settings, none is lost")
  func changes() async throws {
    let stream = try Self.stream(rows: 6)
    let changes: [@Sendable (inout LiveSettings) -> Void] = [
      { $0.request.prompt = "rocket" },
      { $0.request.stepCount = 5 },
      { $0.request.guidance = .full(scale: 2.5) },
      { $0.request.negativePrompt = "red" },
      { $0.strength = 0.9 },
      { $0.request.schedule = .rectified },
      { $0.request.blend = PromptBlend([.init(prompt: "sushi", weight: 0.3)]) },
      { ($0.width, $0.height) = (96, 48) },
      { $0.request.seed = 99 },
      { $0.request.seedBlend = SeedBlend(seed: 1, fraction: 0.5) },
      { ($0.width, $0.height, $0.request.stepCount) = (64, 80, 1) },
      { $0.request.guidance = .onetimeNegative(scale: 3, delta: 0.5) },
      { $0.request.prompt = String(repeating: "a very long prompt ", count: 9) },
      { $0.seedPolicy = .perFrame },
    ]
    let inputs = (0..<3 * changes.count + 3).map { Self.input($0) }
    let frames = try await Self.run(stream, inputs: inputs) { index in
      guard index % 3 == 0, index > 0, index / 3 <= changes.count else { return }
      let change = try await stream.update(changes[index / 3 - 1])
      // In effect before the next input, so that what each is made with is known here.
      try await change.settled()
      #expect(change.number == index / 3)
    }
    #expect(frames.map(\.index) == Array(inputs.indices))
    var expected = Self.settings()
    for frame in frames {
      // An input may still have waited when the change came.
      let changed = frame.settingsNumber
      expected = Self.settings()
      for change in changes.prefix(changed) { change(&expected) }
      if frame.settings.width != expected.width || frame.settings.height != expected.height {
        // Taken up before the change of size had its engines: all else of it is in effect.
        var before = Self.settings()
        for change in changes.prefix(changed - 1) { change(&before) }
        let sizes = (frame.settings.width, frame.settings.height)
        #expect(sizes.0 == before.width ?? 64 && sizes.1 == before.height ?? 64)
        (expected.width, expected.height) = sizes
      }
      #expect(frame.settings == expected)
      #expect(changed >= frame.index / 3 && changed <= (frame.index + 3) / 3)
      let image = try #require(frame.image)
      #expect(image.width == expected.width ?? 64 && image.height == expected.height ?? 64)
    }
    try await Self.expectAlone(frames, inputs: inputs)
    #expect(await stream.statistics.changeCount == changes.count)
  }

  @Test(
    "A change that needs engines lets the stream continue with the old size until they are ready")
  func noStall() async throws {
    let stream = try Self.stream(rows: 4)
    try await stream.prepare()
    // Nothing may be compiled while this holds the builder's thread.
    let (holding, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let hold = Task { await stream.builder.hold(started: holding, until: release) }
    await Self.wait(for: holding)
    var iterator = stream.frames.makeAsyncIterator()
    let change = try await stream.update {
      ($0.width, $0.height, $0.strength) = (48, 48, 0.7)
    }
    #expect(change.needsEngines)
    for index in 0..<8 {
      await stream.submit(Self.input(index), timestamp: .zero)
      let frame = try #require(try await iterator.next())
      // The size waits for its engines, the strength does not.
      #expect(frame.image?.width == 64 && frame.settings.strength == 0.7)
      #expect(frame.settingsNumber == change.number)
    }
    release.signal()
    await hold.value
    try await change.settled()
    await stream.submit(Self.input(8), timestamp: .zero)
    let frame = try #require(try await iterator.next())
    #expect(frame.image?.width == 48 && frame.settings.width == 48)
    await stream.finish()
    #expect(try await iterator.next() == nil)
  }

  @Test(
    "A change back takes effect at once if there is room for idle engines",
    arguments: [
      (0, [false, true, true, true, true]),
      // The size of the change before stays, the one before that is released.
      (1, [false, true, true, false, true]),
      (12, [false, true, true, false, false]),
    ])
  func changeBack(spareCount: Int, needsEngines: [Bool]) async throws {
    // One of 2 rows, and one of 1.
    let laneByteCount = try Checkpoint.starter64().liveByteCount(networkCount: 2)
    let stream = try Self.stream(rows: 2, spareByteCount: spareCount * laneByteCount)
    try await stream.prepare()
    var iterator = stream.frames.makeAsyncIterator()
    for (index, width) in [64, 48, 80, 48, 64].enumerated() {
      let change = try await stream.update { $0.width = width }
      #expect(change.needsEngines == needsEngines[index], "change \(index)")
      try await change.settled()
      await stream.submit(Self.input(index), timestamp: .zero)
      let frame = try #require(try await iterator.next())
      #expect(frame.image?.width == width && frame.settingsNumber == change.number)
    }
    await stream.finish()
    #expect(try await iterator.next() == nil)
  }

  @Test("Engines that nothing needs take no less than nothing")
  func spareRefused() {
    let error = #expect(throws: ModelError.self) { try Self.stream(spareByteCount: -1) }
    #expect(error?.message.contains("0 bytes or more, got -1") == true)
  }

  private static func wait(for semaphore: DispatchSemaphore) async {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        semaphore.wait()
        continuation.resume()
      }
    }
  }

  @Test("A change that cannot be met is refused, and changes nothing")
  func refused() async throws {
    let stream = try Self.stream()
    try await stream.prepare()
    let changes: [(@Sendable (inout LiveSettings) -> Void, String)] = [
      ({ $0.width = 65 }, "width must be a multiple of 4"),
      ({ $0.strength = 1.5 }, "strength is above 0"),
      ({ $0.request.stepCount = 0 }, "the flow-matching schedule takes 1 to 1000 steps"),
      ({ $0.request.guidance = .full(scale: .nan) }, "the guidance scale and delta must be"),
      (
        {
          $0.request.solver = .heun; $0.request.schedule = .consistency
        }, "the consistency"
      ),
      ({ ($0.width, $0.height) = (16384, 16384) }, "the engines take about"),
    ]
    for (change, message) in changes {
      let error = await #expect(throws: ModelError.self) { try await stream.update(change) }
      #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }
    #expect(await stream.settings == Self.settings())
    let frames = try await Self.run(stream, inputs: [Self.input(0)])
    #expect(frames.first?.settings == Self.settings() && frames.first?.settingsNumber == 0)
  }

  // MARK: - Input

  @Test("Of offers that come too fast the latest wins, and says which it replaced")
  func latest() async throws {
    let stream = try Self.stream()
    await stream.pause()
    #expect(await stream.offer(Self.input(0), timestamp: .seconds(1)) == .accepted(index: 0))
    for index in 1..<5 {
      let offer = await stream.offer(Self.input(index), timestamp: .seconds(index + 1))
      #expect(offer == .replaced(index: index, droppedIndex: index - 1))
    }
    await stream.resume()
    await stream.finish()
    var frames: [LiveFrame] = []
    for try await frame in stream.frames { frames.append(frame) }
    #expect(frames.map(\.index) == [4] && frames.map(\.timestamp) == [.seconds(5)])
    #expect(await stream.offer(Self.input(9), timestamp: .zero) == .ended)
    #expect(await stream.submit(Self.input(9), timestamp: .zero) == nil)
    let statistics = await stream.statistics
    #expect(statistics.offeredCount == 7 && statistics.droppedCount == 6)
    #expect(statistics.madeCount == 1)
  }

  @Test("What the filter finds alike shows the image before it again")
  func filter() async throws {
    let settings = Self.settings {
      $0.filter = FrameGate.Settings(threshold: 0.999, maximumSkips: 2, seed: nil)
    }
    let stream = try Self.stream(settings)
    let order = [0, 0, 1, 1, 1, 1, 2]
    let frames = try await Self.run(stream, inputs: order.map { Self.input($0) })
    let isRepeated = frames.map { if case .repeated = $0.outcome { true } else { false } }
    #expect(isRepeated == [false, true, false, true, true, false, false])
    for (frame, previous) in zip(frames.dropFirst(), frames)
    where isRepeated[frame.index] {
      #expect(frame.image == previous.image)
    }
    let statistics = await stream.statistics
    #expect(statistics.skippedCount == 3 && statistics.madeCount == 4)
  }

  @Test("A group that is not full is delivered when the stream is drained, and at its end")
  func groups() async throws {
    let stream = try Self.stream(frameBuffer: 3)
    var iterator = stream.frames.makeAsyncIterator()
    for index in 0..<4 { await stream.submit(Self.input(index), timestamp: .zero) }
    await stream.drain()
    var indices: [Int] = []
    for _ in 0..<4 { indices.append(try #require(try await iterator.next()).index) }
    await stream.submit(Self.input(4), timestamp: .zero)
    await stream.finish()
    while let frame = try await iterator.next() { indices.append(frame.index) }
    #expect(indices == [0, 1, 2, 3, 4])
  }

  @Test("A frame that is NaN or infinite fails alone; its neighbors are unchanged")
  func notFinite() async throws {
    let stream = try Self.stream(rows: 6)
    let inputs = (0..<6).map { Self.input($0) }
    let frames = try await Self.run(stream, inputs: inputs) { index in
      guard index == 2 || index == 4 else { return }
      let scale: Float = index == 2 ? 3e38 : 2
      try await stream.update { $0.request.guidance = .full(scale: scale) }
    }
    #expect(frames.map(\.index) == Array(0..<6))
    let failed = frames.filter { if case .failed = $0.outcome { true } else { false } }
    #expect(!failed.isEmpty && failed.allSatisfy { $0.settings.request.guidance.scale == 3e38 })
    let sound = frames.filter { $0.image != nil }
    #expect(sound.count + failed.count == 6)
    try await Self.expectAlone(sound, inputs: inputs)
    if case .failed(let error) = failed[0].outcome {
      #expect((error as? ModelError)?.code == .notFinite)
    }
  }
}

extension EngineBuilder {
  /// Holds the builder's thread until it may continue.
  fileprivate func hold(started: DispatchSemaphore, until release: DispatchSemaphore) {
    started.signal()
    release.wait()
  }
}
