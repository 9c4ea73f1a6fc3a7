import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Several devices in one process.
@Suite(.tags(.engine)) struct GeneratorPoolTests {
  private static func requests(_ count: Int) -> [GenerationRequest] {
    let things = ["a fox", "a rocket", "pizza", "a tree", "a guitar"]
    return (0..<count).map { index in
      var request = GenerationRequest(prompt: things[index % things.count])
      (request.seed, request.stepCount) = (UInt64(index), 1 + index % 3)
      if index % 7 == 3 {
        request.guidance = .full(scale: 2)
        request.negativePrompt = "red"
      }
      return request
    }
  }

  /// Engines of one row, so that images do not depend on who shares a tick with them.
  private static func options(rows: Int = 4) -> GeneratorOptions {
    var options = GeneratorOptions()
    options.rowCapacity = rows
    (options.engineRowCapacity, options.decodeRowCapacity) = (1, 1)
    return options
  }

  /// A device that fails after a number of runs of the network; never if nil.
  private static func device(
    _ name: DeviceName = .cpu, failingAfter count: Int? = nil, runsOf prefix: String = "unet"
  ) -> (store: EngineStore, backend: FailingBackend) {
    let backend = FailingBackend(after: count ?? .max, runsOf: prefix)
    return (EngineStore(backends: [backend], device: name, cache: .ofTests), backend)
  }

  private static let other = DeviceName(backend: TestBackend.standard.backend.name, name: "CPU")

  private static func pool(_ devices: [EngineStore], rows: Int = 4) throws -> GeneratorPool {
    try GeneratorPool(
      checkpoint: .starter64(), options: options(rows: rows), devices: devices)
  }

  private static func images(
    _ requests: [GenerationRequest], _ pool: GeneratorPool
  ) async throws -> [GeneratedImage] {
    var images: [GeneratedImage] = []
    for try await image in try await pool.images(for: requests) { images.append(image) }
    return images
  }

  @Test(
    "Two devices make the images of one, in the order of the requests, and encode each text once")
  func sameImages() async throws {
    let requests = Self.requests(20)
    let one = try await Self.images(requests, Self.pool([Self.device().store]))
    let pool = try Self.pool([Self.device().store, Self.device(Self.other).store])
    #expect(pool.rowCapacity == 4 && pool.totalRowCapacity == 8)
    let two = try await Self.images(requests, pool)
    #expect(two.map(\.index) == Array(0..<20))
    let expected = one.sorted { $0.index < $1.index }.map(\.image.pixels)
    #expect(two.map(\.image.pixels) == expected)
    #expect(two.allSatisfy { $0.devices.isEmpty })
    let counts = await pool.deviceStatistics.map(\.imageCount)
    #expect(counts.reduce(0, +) == 20 && counts.allSatisfy { $0 > 2 }, "\(counts)")
    #expect(pool.first.provider.texts?.encodedCount == 6)
    #expect(await pool.isIdle)
  }

  /// The images that have moved to the other device where one fails after a number of runs.
  private static func failure(
    after count: Int, _ requests: [GenerationRequest]
  ) async throws -> (pool: GeneratorPool, moved: [GeneratedImage]) {
    let (failing, backend) = device(other, failingAfter: count)
    let pool = try pool([failing, device().store])
    let images = try await images(requests, pool)
    #expect(backend.hasFailed)
    #expect(images.map(\.index) == Array(0..<requests.count))
    return (pool, images.filter { !$0.devices.isEmpty })
  }

  @Test("A device that fails in the middle of 100 images loses none: they go on where they were")
  func failingDevice() async throws {
    let requests = Self.requests(100)
    var failure = try await Self.failure(after: 60, requests)
    // Which images are in flight depends on the devices' speed: a tick may begin with new ones only.
    for count in 61...68 where failure.moved.isEmpty {
      failure = try await Self.failure(after: count, requests)
    }
    let (pool, moved) = failure
    #expect(!moved.isEmpty && moved.count <= 8)
    let alone = try Self.pool([Self.device().store])
    let same = try await Self.images(moved.map(\.request), alone).sorted { $0.index < $1.index }
    #expect(same.map(\.image.pixels) == moved.map(\.image.pixels))
    for image in moved {
      #expect(image.devices == [Self.other, .cpu])
      let text = pool.parameters(of: image)
      #expect(text.hasSuffix(", Device: \(Self.other) > CPU"))
      #expect(GenerationSettings(parsing: text)["Device"] == "\(Self.other) > CPU")
      #expect(GenerationSettings.withoutDevices(text) == pool.parameters(of: image.request))
    }
    // Latents and stages moved; only an image that had finished unnoticed is made again.
    let evaluations = try requests.reduce(0) { sum, request in
      sum + (try pool.evaluationCount(of: request)) * request.guidance.rowsPerStep
    }
    let rowCount = await pool.statistics.rowCount
    #expect(evaluations...evaluations + 24 ~= rowCount, "\(rowCount) for \(evaluations)")
    let failed = await pool.failedDevices
    #expect(failed.map(\.device) == [Self.other])
    #expect(failed.map { "\($0.error)" } == ["the device was unplugged"])
  }

  @Test("With no device left requests fail with its error, and the next ones try all again")
  func noDevice() async throws {
    let (one, first) = Self.device(failingAfter: 10)
    let (two, second) = Self.device(Self.other, failingAfter: 14)
    let pool = try Self.pool([one, two])
    let error = await #expect(throws: EngineError.self) {
      _ = try await Self.images(Self.requests(40), pool)
    }
    #expect(error?.code == .runFailed && error?.message == "the device was unplugged")
    #expect(await pool.failedDevices.count == 2)
    for backend in [first, second] { backend.repair(for: .max) }
    #expect(try await Self.images(Self.requests(6), pool).count == 6)
    #expect(await pool.failedDevices.isEmpty)
  }

  @Test("A decoder that fails is its device's failure too")
  func failingDecoder() async throws {
    let failing = Self.device(Self.other, failingAfter: 3, runsOf: "vae_decoder")
    let pool = try Self.pool([failing.store, Self.device().store])
    let images = try await Self.images(Self.requests(20), pool)
    #expect(images.map(\.index) == Array(0..<20))
    #expect(await pool.failedDevices.map(\.device) == [Self.other])
  }

  @Test("Without a consumer the devices wait; cancelling frees them")
  func backPressure() async throws {
    let pool = try Self.pool([Self.device().store, Self.device(Self.other).store], rows: 1)
    try await pool.prepare()
    let requests = Self.requests(60).filter { $0.guidance == .none }
    let events = try await pool.events(for: requests, previewCount: 1, reportsSteps: true)
    // Eight places for two rows: that many images are made, and then no more.
    while await pool.heldCount < 8 {
      try await Task.sleep(for: .milliseconds(5))
    }
    try await Task.sleep(for: .milliseconds(50))
    #expect(await pool.statistics.imageCount == 8)
    #expect(await pool.flights.isEmpty)
    var iterator = events.makeAsyncIterator()
    let event = try await iterator.next()
    guard case .finished(let image) = event else {
      Issue.record("\(String(describing: event))")
      return
    }
    #expect(image.index == 0)
    await events.cancel()
    #expect(try await iterator.next() == nil)
    while await !pool.isIdle { try await Task.sleep(for: .milliseconds(5)) }
    #expect(try await Self.images(Array(requests.prefix(3)), pool).count == 3)
  }

  @Test("What cannot be made is refused; parts of a model may have a device of their own")
  func placement() async throws {
    let (decoder, backend) = Self.device(Self.other, failingAfter: 0, runsOf: "vae_decoder")
    var placement = DevicePlacement()
    placement[.decoder] = decoder
    let pool = try GeneratorPool(
      checkpoint: .starter64(), options: Self.options(),
      devices: [Self.device().store, Self.device(Self.other).store], placement: placement)
    var wrong = Self.requests(1)
    wrong[0].size = PixelSize(width: 96, height: 64)
    await #expect(throws: ModelError.self) { _ = try await pool.images(for: wrong) }
    let error = await #expect(throws: EngineError.self) {
      _ = try await Self.images(Self.requests(2), pool)
    }
    #expect(error?.message == "the device was unplugged")
    backend.repair(for: .max)
    #expect(try await Self.images(Self.requests(2), pool).count == 2)
  }
}

extension GeneratorPool {
  /// Whether nothing is asked for and no device has anything.
  fileprivate var isIdle: Bool {
    orders.isEmpty && flights.isEmpty
      && dispatcher.loads.allSatisfy { $0.rows == 0 && $0.work == 0 }
  }

  /// How many outcomes of the first order wait to be taken.
  fileprivate var heldCount: Int { dispatcher.heldCount(order: 0) }
}
