import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import GRDB
import Logging
import StreamFlow
import Testing

@testable import FlowServer

/// Jobs whose storage fails for a while.
@Suite struct JobStorageTests {
  private let folder: TemporaryFolder
  private let maker = FakeJobImageMaker()

  init() throws { folder = try TemporaryFolder() }

  private func open() throws -> (registry: JobRegistry, store: JobStore) {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let store = try JobStore(folder: "\(folder.path)/state")
    let registry = JobRegistry(
      maker: maker, store: store, limits: ServerLimits(), logger: logger,
      retryInterval: .milliseconds(5))
    return (registry, store)
  }

  @Test("A job pauses where a failed image cannot be recorded, and counts it once afterwards")
  func failedImage() async throws {
    let (registry, store) = try open()
    func setReadOnly(_ isReadOnly: Bool) async throws {
      try await store.database.writeWithoutTransaction {
        try $0.execute(sql: "PRAGMA query_only = \(isReadOnly ? 1 : 0)")
      }
    }
    maker.change { state in
      state.allowance = 0
      state.failing = [0]
    }
    let id = try await registry.add(try .job(#"{"prompt": "a", "n": 2}"#), client: "").id
    #expect(try await eventually { maker.calls == [[0, 1]] })
    try await setReadOnly(true)
    maker.change { $0.allowance = nil }
    #expect(try await eventually { try await registry.report(id).status == .paused })
    let paused = try await registry.report(id)
    #expect(paused.error?.code == "storage_unavailable")
    #expect(paused.done == 0 && paused.failed == 0)
    try await setReadOnly(false)
    #expect(try await eventually { try await registry.report(id).status == .done })
    let ended = try await registry.report(id)
    #expect(ended.done == 1 && ended.failed == 1 && ended.error?.message == "it failed")
    // The failed image is not tried again.
    #expect(maker.calls == [[0, 1], [1]])
    await registry.close()
  }

  @Test("A job pauses while its input image cannot be read, and continues when it can")
  func unreadableInput() async throws {
    var (registry, _) = try open()
    maker.change { $0.allowance = 0 }
    var order = try ImageOrder.job(#"{"prompt": "a"}"#)
    order.source = InputImage(
      image: PixelImage(width: 1, height: 1, pixels: [1, 2, 3]), strength: 0.5,
      fit: ImageFit(.cover))
    let id = try await registry.add(order, client: "").id
    #expect(try await eventually { maker.calls.count == 1 })
    await registry.suspend()
    await registry.close()

    // A link is not followed: reading fails as it does on a broken disk.
    let input = "\(folder.path)/state/images/\(id)-input.png"
    let other = "\(folder.path)/input.png"
    try FileManager.default.moveItem(atPath: input, toPath: other)
    try FileManager.default.createSymbolicLink(atPath: input, withDestinationPath: other)
    maker.change { $0.allowance = nil }
    (registry, _) = try open()
    await registry.resume()
    #expect(try await eventually { try await registry.report(id).status == .paused })
    let paused = try await registry.report(id)
    #expect(paused.error?.code == "storage_unavailable")
    #expect(paused.error?.message.contains(folder.path) == false)
    #expect(maker.calls.count == 1)
    try FileManager.default.removeItem(atPath: input)
    try FileManager.default.moveItem(atPath: other, toPath: input)
    #expect(try await eventually { try await registry.report(id).status == .done })
    let ended = try await registry.report(id)
    #expect(ended.error == nil && ended.done == 1)
    await registry.close()
  }
}
