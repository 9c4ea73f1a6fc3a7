import FlowCore
import FlowEngine
import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

/// The starter checkpoint through `Generator`, against diffusers' parts in a plain loop.
@Suite(.tags(.engine)) struct StarterTests {
  private struct Case: Decodable {
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let negative: String?
    let width: Int?
    let height: Int?

    var request: GenerationRequest {
      var request = GenerationRequest(prompt: prompt)
      request.seed = seed
      request.stepCount = steps
      request.guidance = guidance == 1 ? .none : .full(scale: guidance)
      request.negativePrompt = negative ?? ""
      return request
    }
  }

  private static func generator(
    rows: Int? = nil, width: Int? = nil, height: Int? = nil
  ) throws -> Generator {
    var options = GeneratorOptions()
    (options.rowCapacity, options.width, options.height) = (rows, width, height)
    return try Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
  }

  @Test("The same prompt, seed, steps and guidance give the image that diffusers gives")
  func diffusers() async throws {
    let golden = try Golden("starter.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 5)
    for (index, item) in cases.enumerated() {
      let generator = try Self.generator(rows: 2, width: item.width, height: item.height)
      let images = try await generator.images(for: [item.request]).reduce(into: []) {
        $0.append($1)
      }
      let pixels = try #require(images.first).image.pixels.map(Float.init)
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      expectClose(pixels, try golden.floats("\(index).pixels"), tolerance: 2)
    }
  }

  @Test("A mix in one stream gives what each alone gives, to 1/255")
  func mix() async throws {
    var requests: [GenerationRequest] = []
    for index in 0..<12 {
      var request = GenerationRequest(
        prompt: ["a fox on a blue background", "rocket", "an octopus on red"][index % 3])
      request.seed = UInt64(index)
      request.stepCount = [4, 1, 6, 9][index / 3]
      request.guidance = index % 2 == 0 ? .none : .full(scale: 2.5)
      request.solver = Solver.allCases[index]
      request.spacing = index < 5 ? .diffusers : .uniform
      requests.append(request)
    }
    let together = try await Self.generator(rows: 7).images(for: requests)
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    #expect(together.count == 12)
    let alone = try Self.generator(rows: 2)
    for (index, request) in requests.enumerated() {
      let single = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      let pixels = try #require(together[index]).pixels
      expectClose(
        pixels.map(Float.init), try #require(single.first).image.pixels.map(Float.init),
        tolerance: 1)
    }
  }

  @Test("Streams share a batch, each gets its own images, in order for equal work")
  func streams() async throws {
    let generator = try Self.generator(rows: 4)
    let first = try await generator.images(for: (0..<5).map { Self.request("fox", seed: $0) })
    let second = try await generator.images(for: (0..<3).map { Self.request("sushi", seed: $0) })
    let sushi = try await second.reduce(into: []) { $0.append($1) }
    let foxes = try await first.reduce(into: []) { $0.append($1) }
    #expect(foxes.map(\.index) == [0, 1, 2, 3, 4])
    #expect(sushi.map(\.index) == [0, 1, 2])
    #expect(foxes.allSatisfy { $0.request.prompt == "fox" })
    let statistics = await generator.statistics
    // 8 images of 4 steps, 4 rows a tick.
    #expect(statistics.tickCount == 8 && statistics.imageCount == 8)
  }

  private static func request(_ prompt: String, seed: Int) -> GenerationRequest {
    var request = GenerationRequest(prompt: prompt)
    request.seed = UInt64(seed)
    return request
  }

  @Test("A stream that has given all its images ends without making those of others")
  func ending() async throws {
    let generator = try Self.generator(rows: 2)
    let short = try await generator.images(for: [Self.request("fox", seed: 1)])
    let long = try await generator.images(for: (0..<60).map { Self.request("fox", seed: $0) })
    let pictures = try await short.reduce(into: []) { $0.append($1) }
    #expect(pictures.count == 1)
    #expect(await generator.statistics.tickCount == 4)
    let none = try await generator.images(for: []).reduce(into: []) { $0.append($1) }
    #expect(none.isEmpty && long.count == 60)
  }

  @Test("Leaving the loop gives the rest up; the generator continues for others")
  func leaving() async throws {
    let generator = try Self.generator(rows: 2)
    let stream = try await generator.images(for: (0..<100).map { Self.request("fox", seed: $0) })
    var count = 0
    for try await _ in stream {
      count += 1
      if count == 3 { break }
    }
    let after = try await generator.images(for: [Self.request("rocket", seed: 1)])
      .reduce(into: []) { $0.append($1) }
    #expect(after.count == 1)
    let ticks = await generator.statistics.tickCount
    #expect(ticks < 30)  // a hundred images would take two hundred ticks
  }

  @Test("A cancelled task stops with CancellationError")
  func cancellation() async throws {
    let generator = try Self.generator(rows: 1)
    let task = Task {
      for try await _ in try await generator.images(
        for: (0..<1000).map { Self.request("fox", seed: $0) })
      {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test("An image with NaN or infinity is an error with its seed; the others succeed")
  func notFinite() async throws {
    var wild = Self.request("fox", seed: 77)
    wild.guidance = .full(scale: 3e38)
    let requests = [Self.request("fox", seed: 1), wild, Self.request("fox", seed: 2)]
    var iterator = try await Self.generator(rows: 4).images(for: requests).makeAsyncIterator()
    var seeds: [UInt64] = []
    var errors: [ModelError] = []
    while true {
      do {
        guard let image = try await iterator.next() else { break }
        seeds.append(image.request.seed)
      } catch let error as ModelError { errors.append(error) }
    }
    #expect(seeds == [1, 2])
    #expect(errors.count == 1 && errors.first?.code == .notFinite)
    #expect(
      errors.first?.message.hasPrefix("image 2 (seed 77) contains NaN or infinity")
        == true)
  }

  @Test(
    "A request that cannot be met is refused before any work",
    arguments: [
      (
        65, 64, 4,
        "width must be a multiple of 4 from 4 to 16384 pixels for starter, got 65; 64 is the nearest"
      ),
      (
        64, 0, 4,
        "height must be a multiple of 4 from 4 to 16384 pixels for starter, got 0; 4 is the nearest"
      ),
      (64, 64, 0, "the flow-matching schedule takes 1 to 1000 steps, got 0"),
    ])
  func refused(width: Int, height: Int, steps: Int, expected: String) async throws {
    let error = await #expect(throws: ModelError.self) {
      let generator = try Self.generator(width: width, height: height)
      var request = GenerationRequest(prompt: "fox")
      request.stepCount = steps
      _ = try await generator.images(for: [request])
    }
    #expect(error?.message == expected)
    #expect(error?.code == .requestInvalid)
  }

  @Test("Full guidance needs two rows")
  func rows() async throws {
    let error = await #expect(throws: ModelError.self) {
      var request = GenerationRequest(prompt: "fox")
      request.guidance = .full(scale: 2)
      _ = try await Self.generator(rows: 1).images(for: [request])
    }
    #expect(
      error?.message == "this guidance takes 2 rows of a tick, which has 1; give it 2")
    #expect(error?.settings == [.rowCapacity])
  }

  @Test("A prompt beyond the encoder's tokens is reported with the truncated part")
  func cut() throws {
    let generator = try Self.generator()
    #expect(generator.cut(of: "a fox") == nil)
    let long = String(repeating: "fox ", count: 40) + "end"
    #expect(generator.cut(of: long, syntax: .plain)?.hasSuffix("fox end") == true)
    #expect(generator.cut(of: long) == nil)  // it continues in a second chunk
    // Eight chunks of 38 tokens.
    #expect(generator.cut(of: String(repeating: "fox ", count: 304) + "end") == "end")
  }
}
