import FlowCore
import FlowNATS
import FlowTestSupport
import Foundation
import StreamFlow
import Synchronization
import Testing

@testable import FlowCluster
@testable import FlowServer

/// Repeats each pixel of a tile, as an upscaler would enlarge it.
final class FakeTiles: TileSharing {
  struct State {
    var helpers: (@Sendable (_ model: String) -> any TileHelpers)?
    var fingerprint = "same"
    var time = Duration.milliseconds(1)
    var count = 0
    var fails = false
  }

  let state = Mutex(State())

  func share(with helpers: (@Sendable (_ model: String) -> any TileHelpers)?) {
    state.withLock { $0.helpers = helpers }
  }

  func fingerprint(of model: String) async throws -> String? { state.withLock { $0.fingerprint } }

  func upscaled(_ tile: PixelImage, by factor: Int, for model: String) async throws -> PixelImage {
    let (time, fails) = state.withLock { state in
      state.count += 1
      return (state.time, state.fails)
    }
    try await Task.sleep(for: time)
    if fails { throw ServerError.stopping }
    return Self.enlarged(tile, by: factor)
  }

  /// Who helps it, once it has joined.
  func helpers(of model: String) -> (any TileHelpers)? {
    guard let helpers = state.withLock({ $0.helpers }) else { return nil }
    return helpers(model)
  }

  static func enlarged(_ image: PixelImage, by factor: Int) -> PixelImage {
    let (width, height) = (factor * image.width, factor * image.height)
    var pixels = [UInt8](repeating: 0, count: 3 * width * height)
    for row in 0..<height {
      for column in 0..<width {
        for channel in 0..<3 {
          pixels[3 * (row * width + column) + channel] =
            image.pixels[3 * (row / factor * image.width + column / factor) + channel]
        }
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }
}

/// Workers that upscale tiles of each other's images, around a real server of NATS.
@Suite(.tags(.process)) struct TileFleetTests {
  private static let tile = PixelImage(
    width: 40, height: 30, pixels: (0..<3600).map { UInt8(truncatingIfNeeded: $0 &* 7) })

  /// A fleet with a worker for each of some fakes.
  private func fleet(_ models: [FakeModels]) async throws -> TestFleet {
    let fleet = try await TestFleet()
    for (index, models) in models.enumerated() { try await fleet.add("worker-\(index)", models) }
    return fleet
  }

  private func models(_ tiles: FakeTiles) -> FakeModels {
    let models = FakeModels()
    models.tiles = tiles
    return models
  }

  /// Those that are free to help a worker with a model.
  private func free(for tiles: FakeTiles, of model: String = "fake") async -> [any TileHelper] {
    guard let helpers = tiles.helpers(of: model) else { return [] }
    return await helpers.free(for: "same")
  }

  /// The same once there are any: the server may hear of a worker's subscriptions after it has joined.
  private func helpers(for tiles: FakeTiles, of model: String = "fake") async -> [any TileHelper] {
    while true {
      let found = await free(for: tiles, of: model)
      if !found.isEmpty { return found }
    }
  }

  private func storedCount(_ fleet: TestFleet) async throws -> Int {
    try await fleet.gateway.layout.stream.info(of: "OBJ_tiles").state.messages
  }

  @Test(
    "An idle worker upscales tiles of another's image, and leaves no file behind",
    .timeLimit(.minutes(1)))
  func helps() async throws {
    let (own, other) = (FakeTiles(), FakeTiles())
    let fleet = try await fleet([models(own), models(other)])
    let helpers = await helpers(for: own)
    #expect(helpers.count == 1)
    for factor in [2, 4] {
      let larger = await helpers.first?.upscaled(Self.tile, by: factor)
      // Not the pixels, which would be printed.
      #expect((larger == FakeTiles.enlarged(Self.tile, by: factor)) as Bool)
    }
    #expect(other.state.withLock { $0.count } == 2 && own.state.withLock { $0.count } == 0)
    while try await storedCount(fleet) > 0 { try await Task.sleep(for: .milliseconds(5)) }
    await fleet.stop()
  }

  @Test(
    "A worker that makes images, or has another upscaler, does not offer help",
    .timeLimit(.minutes(1)))
  func offers() async throws {
    let (own, busy, different) = (FakeTiles(), FakeTiles(), FakeTiles())
    let working = FakeModels("working")
    working.tiles = busy
    let fleet = try await TestFleet()
    try await fleet.add("own", models(own))
    try await fleet.add("different", models(different), tileOfferTime: .zero)
    try await fleet.add("busy", working, tileOfferTime: .zero)
    #expect(await helpers(for: own).count == 1)
    different.state.withLock { $0.fingerprint = "other" }
    #expect(await free(for: own).isEmpty)
    // Of another worker's model, which this one asks for.
    #expect(await helpers(for: own, of: "working").count == 1)
    working.change { $0.time = .seconds(600) }
    let order = try TestFleet.order(#"{"prompt": "fox", "model": "working", "seed": 1}"#)
    let making = Task { try await fleet.make(order) }
    while working.begun.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    #expect(await free(for: own, of: "working").isEmpty)
    making.cancel()
    _ = try? await making.value
    await fleet.stop()
  }

  @Test("A helper takes one tile at a time, and one that fails says so", .timeLimit(.minutes(1)))
  func busy() async throws {
    let (own, other) = (FakeTiles(), FakeTiles())
    other.state.withLock { $0.time = .seconds(2) }
    let fleet = try await fleet([models(own), models(other)])
    let helper = try #require(await helpers(for: own).first)
    async let first = helper.upscaled(Self.tile, by: 2)
    while other.state.withLock({ $0.count }) == 0 { try await Task.sleep(for: .milliseconds(2)) }
    #expect(await helper.upscaled(Self.tile, by: 2) == nil)
    #expect(await free(for: own).isEmpty)
    #expect(await first == FakeTiles.enlarged(Self.tile, by: 2))
    other.state.withLock { $0.time = .milliseconds(1) }
    other.state.withLock { $0.fails = true }
    #expect(await helper.upscaled(Self.tile, by: 2) == nil)
    other.state.withLock { $0.fails = false }
    #expect(await helper.upscaled(Self.tile, by: 2) != nil)
    #expect(await helper.upscaled(Self.tile, by: 3) == nil)
    await fleet.stop()
  }

  @Test("A worker helps with one image at a time", .timeLimit(.minutes(1)))
  func reserved() async throws {
    let (own, other, third) = (FakeTiles(), FakeTiles(), FakeTiles())
    // Only the second one helps.
    for tiles in [own, third] { tiles.state.withLock { $0.fingerprint = "different" } }
    let fleet = try await fleet([models(own)])
    try await fleet.add("other", models(other), tileOfferTime: .seconds(600))
    try await fleet.add("third", models(third))
    let helpers = await helpers(for: own)
    #expect(helpers.count == 1)
    #expect(await free(for: own).isEmpty)
    #expect(await free(for: third).isEmpty)
    #expect((await helpers.first?.upscaled(Self.tile, by: 2) != nil) as Bool)
    // After its last tile.
    while await free(for: third).isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    #expect((await helpers.first?.upscaled(Self.tile, by: 2) == nil) as Bool)
    await fleet.stop()
  }

  @Test("Tiles of another size than their files are rejected", .timeLimit(.minutes(1)))
  func hostile() async throws {
    let fleet = try await TestFleet()
    let store = fleet.gateway.layout.tiles
    try await store.put([UInt8](repeating: 1, count: 30), as: "X")
    func image(_ width: Int, _ height: Int) async throws -> PixelImage? {
      let text = #"{"object":"X","width":\#(width),"height":\#(height)}"#
      return try await ClusterJSON.value(StoredTile.self, Array(text.utf8)).image(in: store)
    }
    #expect(try await image(5, 2)?.pixels == [UInt8](repeating: 1, count: 30))
    for (width, height) in [(5, 3), (3, 2), (0, 5), (-5, -2), (1 << 40, 1 << 40), (1 << 20, 1024)] {
      await #expect(throws: NATSError.self) { try await image(width, height) }
    }
    await fleet.stop()
  }

  @Test("A helper that ended is noticed before its tile is late", .timeLimit(.minutes(1)))
  func ended() async throws {
    let (own, other) = (FakeTiles(), FakeTiles())
    other.state.withLock { $0.time = .seconds(30) }
    let fleet = try await fleet([models(own)])
    let worker = try await fleet.add("other", models(other))
    let helper = try #require(await helpers(for: own).first)
    async let tile = helper.upscaled(Self.tile, by: 2)
    while other.state.withLock({ $0.count }) == 0 { try await Task.sleep(for: .milliseconds(2)) }
    let start = ContinuousClock.now
    worker.cancel()
    await worker.value
    #expect(await tile == nil)
    #expect(ContinuousClock.now - start < .seconds(10))
    await fleet.stop()
  }

  @Test(
    "A tile whose image is not wanted any more is removed when it comes", .timeLimit(.minutes(1)))
  func cancelled() async throws {
    let (own, other) = (FakeTiles(), FakeTiles())
    other.state.withLock { $0.time = .seconds(2) }
    let fleet = try await fleet([models(own), models(other)])
    let helper = try #require(await helpers(for: own).first)
    let asking = Task { await helper.upscaled(Self.tile, by: 2) }
    while other.state.withLock({ $0.count }) == 0 { try await Task.sleep(for: .milliseconds(2)) }
    asking.cancel()
    let start = ContinuousClock.now
    #expect(await asking.value == nil)
    // The helper continues.
    #expect(.now - start < .seconds(1))
    while await free(for: own).isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    while try await storedCount(fleet) > 0 { try await Task.sleep(for: .milliseconds(5)) }
    await fleet.stop()
  }
}
