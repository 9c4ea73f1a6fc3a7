import FlowCore
import FlowEngine
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Concurrent requests to one generator.
@Suite(.tags(.engine)) struct GeneratorSharingTests {
  private static func request(_ seed: Int, steps: Int = 4) -> GenerationRequest {
    var request = GenerationRequest(prompt: "a fox on a blue background")
    request.seed = UInt64(seed)
    request.stepCount = steps
    return request
  }

  private static func generator(rows: Int) throws -> Generator {
    var options = GeneratorOptions()
    options.rowCapacity = rows
    return try Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
  }

  private static func image(_ request: GenerationRequest, _ generator: Generator) async throws
    -> PixelImage
  {
    var iterator = try await generator.images(for: [request]).makeAsyncIterator()
    return try #require(try await iterator.next()).image
  }

  @Test("A request for one image is finished long before another's many, with the same image")
  func briefBesideLong() async throws {
    let generator = try Self.generator(rows: 4)
    let alone = try Self.generator(rows: 1)
    let many = try await generator.images(
      for: (0..<48).map { Self.request($0) }, client: "many")
    let long = Task {
      var images: [Int: PixelImage] = [:]
      for try await picture in many { images[picture.index] = picture.image }
      return images
    }
    // The long one's rows fill the ticks before the other comes.
    while await generator.flights.count < 4 { await Task.yield() }
    let before = await generator.statistics.imageCount
    let one = try await Self.image(Self.request(99), generator)
    let after = await generator.statistics.imageCount
    // Beside its own ticks 3 of 4 rows are the other's; more are made until this task continues.
    #expect(after - before < 24, "\(after - before) images were made meanwhile")
    let images = try await long.value
    #expect(images.count == 48)
    for (seed, image) in [(99, one), (0, images[0]), (3, images[3]), (23, images[23])] {
      expectClose(
        try #require(image).pixels.map(Float.init),
        try await Self.image(Self.request(seed), alone).pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test("A cancelled request frees its rows within a tick")
  func cancelling() async throws {
    let generator = try Self.generator(rows: 4)
    let events = try await generator.events(for: (0..<50).map { Self.request($0, steps: 20) })
    let task = Task { for try await _ in events {} }
    while await generator.flights.isEmpty { await Task.yield() }
    await events.cancel()
    let (flights, pending) = (await generator.flights, await generator.pendingCount)
    #expect(flights.isEmpty && pending == 0)
    try await task.value
    // Releasing the sequence suffices.
    var stream: ImageStream? = try await generator.images(for: [Self.request(1)])
    #expect(stream?.count == 1)
    #expect(await generator.pendingCount == 1)
    stream = nil
    while await generator.pendingCount > 0 { await Task.yield() }
  }

  @Test("Previews come in their order, ever nearer to the image, which they do not change")
  func previews() async throws {
    let generator = try Self.generator(rows: 2)
    let events = try await generator.events(
      for: [Self.request(7, steps: 6), Self.request(8, steps: 3)], previewCount: 3)
    var shown: [Int: [(number: Int, image: PixelImage)]] = [:]
    var finished: [Int: PixelImage] = [:]
    for try await event in events {
      switch event {
      case .preview(let index, let number, let image):
        #expect(finished[index] == nil)
        shown[index, default: []].append((number, image))
      case .finished(let picture): finished[picture.index] = picture.image
      case .stepped: Issue.record("no steps were asked for")
      case .failed(_, let error): throw error
      }
    }
    #expect(shown[0]?.map(\.number) == [0, 1, 2])
    // Three steps have two in between.
    #expect(shown[1]?.map(\.number) == [0, 1])
    for (index, seed, steps) in [(0, 7, 6), (1, 8, 3)] {
      let whole = try #require(finished[index])
      let distances = try #require(shown[index]).map { preview in
        zip(preview.image.pixels, whole.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
      }
      #expect(distances == distances.sorted(by: >), "\(distances)")
      #expect(distances.last ?? 0 > 0)
      #expect(whole == (try await Self.image(Self.request(seed, steps: steps), generator)))
    }
  }

  @Test("Where previews fall, by the steps that there are")
  func previewStages() {
    #expect(PreviewStages.stages(count: 0, of: 8) == [])
    #expect(PreviewStages.stages(count: 3, of: 1) == [])
    #expect(PreviewStages.stages(count: 1, of: 4) == [2])
    #expect(PreviewStages.stages(count: 3, of: 4) == [1, 2, 3])
    #expect(PreviewStages.stages(count: 8, of: 4) == [1, 2, 3])
    #expect(PreviewStages.stages(count: 3, of: 8) == [2, 4, 6])
  }

  @Test("Two generators that share a device make the images that each makes alone")
  func sharedDevice() async throws {
    let (first, second) = (try Self.generator(rows: 2), try Self.generator(rows: 3))
    #expect(first.engines === second.engines)
    async let left = Self.image(Self.request(1), first)
    async let right = Self.image(Self.request(2), second)
    let (one, two) = (try await left, try await right)
    let alone = try Self.generator(rows: 2)
    for (seed, image) in [(1, one), (2, two)] {
      expectClose(
        image.pixels.map(Float.init),
        try await Self.image(Self.request(seed), alone).pixels.map(Float.init), tolerance: 1)
    }
  }
}
