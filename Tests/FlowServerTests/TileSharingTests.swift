import FlowCore
import FlowImage
import FlowModels
import FlowTestSupport
import Foundation
import Logging
import StreamFlow
import Synchronization
import Testing

@testable import FlowServer

/// A process's large images, whose tiles it upscales with helpers: here, with itself.
@Suite(.tags(.engine)) struct TileSharingTests {
  private final class Helpers: TileHelpers, TileHelper {
    let service: LocalImageService
    let model: String
    let count = Mutex(0)
    var leastTime: Duration { .zero }

    init(_ service: LocalImageService, model: String) {
      (self.service, self.model) = (service, model)
    }

    func free(for fingerprint: String) async -> [any TileHelper] {
      guard (try? await service.fingerprint(of: model)) == fingerprint else { return [] }
      return [self]
    }

    func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage? {
      count.withLock { $0 += 1 }
      return try? await service.upscaled(tile, by: factor, for: model)
    }
  }

  @Test("Helpers upscale tiles of a request's image, which is the same")
  func shared() async throws {
    let folder = try TemporaryFolder()
    let model = "\(folder.path)/own"
    try FileManager.default.copyItem(atPath: Starter64.folder, toPath: model)
    _ = try folder.write(TinyUpscaler.compact(), as: "own/streamflow-upscaler.safetensors")
    var options = ServerOptions(models: [
      ServedModel(name: "own") { try Checkpoint(folder: model) }
    ])
    options.devices = [.ofTests]
    let service = LocalImageService(options, logger: Logger(label: "test"))
    // The model's own upscaler is not loaded for a helper.
    #expect(try await service.fingerprint(of: "own") == nil)
    try await service.start()
    let helpers = Helpers(service, model: "own")
    var files: [[UInt8]] = []
    for isShared in [false, true, false] {
      if isShared { service.share { _ in helpers } } else { service.share(with: nil) }
      files.append(try await file(of: service))
      #expect(helpers.count.withLock { $0 > 0 } == (files.count > 1))
    }
    #expect(files[2] == files[0])
    let (plain, shared) = (try PixelImage(png: files[0]), try PixelImage(png: files[1]))
    // The engine may add in another order for another shape.
    expectClose(shared.pixels.map(Float.init), plain.pixels.map(Float.init), tolerance: 1)
    await service.close()
  }

  /// The file of an upscaled image.
  private func file(of service: LocalImageService) async throws -> [UInt8] {
    let limits = ServerLimits()
    var fields = try RequestFields(
      json: Array(#"{"prompt": "a fox", "seed": 1, "steps": 1, "upscale": 4}"#.utf8),
      limits: limits.json)
    let order = try ImageOrder(&fields, limits: limits, isJob: false)
    let made = Mutex<[UInt8]>([])
    try await service.make(
      ServiceOrder(
        order, indices: nil, client: "me", name: "r1", urgency: .awaited, deadline: nil)
    ) { _ in
    } event: { event in
      if case .finished(let picture, _) = event { made.withLock { $0 = picture.file } }
    }
    return made.withLock { $0 }
  }
}
