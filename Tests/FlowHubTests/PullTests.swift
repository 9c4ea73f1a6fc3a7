import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Synchronization
import Testing

@testable import FlowHub

/// Pulls against a hub on loopback, a well-behaved one and bad ones.
@Suite struct PullTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  var cache: HubCache { HubCache(environment: ["HF_HOME": folder.path]) }
  var repository: String { "\(folder.path)/hub/models--org--name" }
  var snapshot: String { "\(repository)/snapshots/\(FakeHub.commit)" }

  /// Large enough to come in several pieces, and not the same anywhere.
  static let weights = FakeHub.File(
    "unet/diffusion_pytorch_model.fp16.safetensors",
    (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 7) })

  static let pipeline = [
    FakeHub.File(
      "model_index.json",
      text:
        #"{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"]}"#),
    FakeHub.File("unet/config.json", text: #"{"in_channels":4}"#),
    weights,
  ]

  func pull(
    _ hub: FakeHub, token: String? = nil, waits: Waits = Waits(), patterns: [String] = [],
    change: (inout HubPull) -> Void = { _ in },
    report: @escaping @Sendable (HubPull.Event) -> Void = { _ in }
  ) async throws -> HubSnapshot {
    var pull = try HubPull(model: #require(HubModelName("org/name")), patterns: patterns)
    pull.retry.sleep = { waits.add($0) }
    change(&pull)
    var environment = ["HF_HOME": folder.path, "HF_ENDPOINT": hub.server.address]
    environment["HF_TOKEN"] = token
    return try await pull(
      from: HubAccess(environment: environment), into: cache, report: report)
  }

  func error(
    _ hub: FakeHub, token: String? = nil, waits: Waits = Waits(), patterns: [String] = [],
    change: (inout HubPull) -> Void = { _ in }
  ) async -> HubError? {
    do {
      _ = try await pull(hub, token: token, waits: waits, patterns: patterns, change: change)
      Issue.record("the pull succeeded")
    } catch let error as HubError { return error } catch { Issue.record("\(error)") }
    return nil
  }

  func contents(_ path: String) throws -> [UInt8] {
    try Array(Data(contentsOf: URL(filePath: "\(repository)/\(path)")))
  }

  func names(_ path: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(repository)/\(path)")) ?? []).sorted()
  }

  @Test("A pull leaves what huggingface_hub leaves: blobs, links, the reference")
  func layout() async throws {
    let hub = try FakeHub(Self.pipeline)
    let result = try await pull(hub)
    #expect(result.folder == snapshot && result.commit == FakeHub.commit)
    #expect(result.receivedByteCount == Self.pipeline.reduce(0) { $0 + $1.contents.count })
    #expect(names("") == ["blobs", "refs", "snapshots"])
    #expect(names("blobs") == Self.pipeline.map(\.digest).sorted())
    #expect(try contents("refs/main") == Array(FakeHub.commit.utf8))
    for file in Self.pipeline {
      #expect(try contents("snapshots/\(FakeHub.commit)/\(file.path)") == file.contents)
      let up = String(repeating: "../", count: file.path.split(separator: "/").count + 1)
      let link = try FileManager.default.destinationOfSymbolicLink(
        atPath: "\(snapshot)/\(file.path)")
      #expect(link == "\(up)blobs/\(file.digest)")
    }
    #expect(try cache.snapshot(of: #require(HubModelName("org/name"))) == snapshot)
    // All is there: nothing but the list is asked for.
    let count = hub.downloads.count
    #expect(try await pull(hub).receivedByteCount == 0)
    #expect(hub.downloads.count == count)
  }

  @Test("Files whose description the list leaves out are asked for one by one")
  func plainList() async throws {
    let hub = try FakeHub(Self.pipeline, withBlobs: false)
    _ = try await pull(hub)
    #expect(names("blobs") == Self.pipeline.map(\.digest).sorted())
    #expect(hub.downloads.contains("HEAD unet/config.json"))
  }

  @Test("An interrupted download continues from the first missing byte")
  func resume() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      guard request.target.hasSuffix("safetensors"), count < 2 else { return nil }
      var reply = FakeHub.reply(Self.weights, to: request)
      reply.cut = 100_000
      return reply
    }
    let result = try await pull(hub)
    #expect(
      try contents("snapshots/\(FakeHub.commit)/\(Self.weights.path)") == Self.weights.contents)
    #expect(
      hub.downloads.filter { $0.contains("safetensors") } == [
        "GET \(Self.weights.path)", "GET \(Self.weights.path) bytes=100000-",
        "GET \(Self.weights.path) bytes=200000-",
      ])
    #expect(result.receivedByteCount == Self.pipeline.reduce(0) { $0 + $1.contents.count })
  }

  @Test("The rest of an earlier pull is continued, or discarded if it is damaged")
  func leftovers() async throws {
    let blobs = "hub/models--org--name/blobs"
    let path = "\(blobs)/\(Self.weights.digest).incomplete"
    for (left, asked) in [
      (Array(Self.weights.contents.prefix(5000)), ["bytes=5000-"]),
      (Self.weights.contents, []),
      (Self.weights.contents + [0], [nil]),
      ([UInt8](repeating: 9, count: 5000), ["bytes=5000-", nil]),
      ([UInt8](repeating: 9, count: Self.weights.contents.count), [nil]),
    ] as [([UInt8], [String?])] {
      _ = try folder.write(left, as: path)
      let hub = try FakeHub(Self.pipeline)
      _ = try await pull(hub)
      #expect(try contents("blobs/\(Self.weights.digest)") == Self.weights.contents)
      let ranges = hub.server.requests.filter { $0.target.hasSuffix("safetensors") }
        .map { $0.headers["range"] }
      #expect(ranges == asked)
      try FileManager.default.removeItem(atPath: repository)
    }
  }

  @Test("A server without ranges is read from the start")
  func rangeIgnored() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      guard request.target.hasSuffix("safetensors") else { return nil }
      return .init(200, body: Self.weights.contents, cut: count == 0 ? 1000 : nil)
    }
    _ = try await pull(hub)
    #expect(try contents("blobs/\(Self.weights.digest)") == Self.weights.contents)
    #expect(hub.downloads.contains("GET \(Self.weights.path) bytes=1000-"))
  }

  @Test("Another range than the one that was asked for, or none at all, is not added to the file")
  func wrongRange() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      guard request.target.hasSuffix("safetensors") else { return nil }
      switch count {
      case 0: return .init(200, body: Self.weights.contents, cut: 1000)
      case 1:
        return .init(
          206, headers: ["Content-Range": "bytes 0-299999/300000"], body: Self.weights.contents)
      case 2: return .init(200, body: Self.weights.contents, cut: 1000)
      case 3: return .init(416)
      default: return nil
      }
    }
    _ = try await pull(hub)
    #expect(try contents("blobs/\(Self.weights.digest)") == Self.weights.contents)
    #expect(
      hub.server.requests.filter { $0.target.hasSuffix("safetensors") }.map { $0.headers["range"] }
        == [nil, "bytes=1000-", nil, "bytes=1000-", nil])
  }

  @Test(
    "Contents of a wrong length or hash are fetched once more, then refused and not kept",
    arguments: [
      (200_000, "is 200000 bytes long, expected 300000"),
      (300_001, "is 300001 bytes long, expected 300000"), (300_000, "has hash"),
    ])
  func wrongContents(count: Int, problem: String) async throws {
    let hub = try FakeHub(Self.pipeline) { request, _ in
      request.target.hasSuffix("safetensors")
        ? .init(200, body: [UInt8](repeating: 7, count: count)) : nil
    }
    let error = await error(hub)
    #expect(error?.code == .contentMismatch)
    #expect(error?.message.contains(problem) ?? false, "\(error?.message ?? "")")
    #expect(hub.downloads.filter { $0.contains("safetensors") }.count == 2)
    #expect(!names("blobs").contains { $0.hasPrefix(Self.weights.digest) })
    #expect(names("snapshots").isEmpty && names("refs").isEmpty)
  }

  @Test("A damaged download is repeated")
  func damagedOnce() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      request.target.hasSuffix("safetensors") && count == 0
        ? .init(200, body: [UInt8](repeating: 7, count: 300_000)) : nil
    }
    _ = try await pull(hub)
    #expect(try contents("blobs/\(Self.weights.digest)") == Self.weights.contents)
  }

  @Test("Files that are the same are downloaded once")
  func sameContents() async throws {
    let twin = FakeHub.File("unet/config.json", Self.weights.contents)
    let hub = try FakeHub([Self.pipeline[0], twin, Self.weights])
    _ = try await pull(hub)
    #expect(hub.downloads.count == 2)
    #expect(try contents("snapshots/\(FakeHub.commit)/unet/config.json") == Self.weights.contents)
  }

  @Test("Two pulls at once download each file once between them")
  func together() async throws {
    let hub = try FakeHub(Self.pipeline) { request, _ in
      if request.target.hasSuffix("safetensors") { usleep(300_000) }
      return nil
    }
    async let first = pull(hub)
    async let second = pull(hub)
    let received = try await first.receivedByteCount + second.receivedByteCount
    #expect(received == Self.pipeline.reduce(0) { $0 + $1.contents.count })
    #expect(hub.downloads.count == 3)
    #expect(try contents("blobs/\(Self.weights.digest)") == Self.weights.contents)
  }

  @Test("A pull that is cancelled keeps what it has")
  func cancelled() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      guard request.target.hasSuffix("safetensors"), count == 0 else { return nil }
      var reply = FakeHub.reply(Self.weights, to: request)
      (reply.cut, reply.hangs) = (100_000, true)
      return reply
    }
    let task = Mutex<Task<HubSnapshot, any Error>?>(nil)
    let received = Atomic(0)
    let running = Task {
      try await pull(
        hub,
        report: { event in
          guard case .received(let count) = event else { return }
          if received.add(count, ordering: .relaxed).newValue > 100_000 {
            task.withLock { $0?.cancel() }
          }
        })
    }
    task.withLock { $0 = running }
    await #expect(throws: CancellationError.self) { _ = try await running.value }
    #expect(names("refs").isEmpty && names("snapshots").isEmpty)
    _ = try await pull(hub)
    #expect(hub.downloads.last == "GET \(Self.weights.path) bytes=100000-")
  }

  @Test("A link that leads elsewhere is recreated, a file of the user's own stays")
  func ownFiles() async throws {
    let hub = try FakeHub(Self.pipeline)
    _ = try await pull(hub)
    let (own, moved) = ("\(snapshot)/unet/config.json", "\(snapshot)/\(Self.weights.path)")
    for path in [own, moved] { try FileManager.default.removeItem(atPath: path) }
    try Data("mine".utf8).write(to: URL(filePath: own))
    try FileManager.default.createSymbolicLink(atPath: moved, withDestinationPath: "nowhere")
    _ = try await pull(hub)
    #expect(try Data(contentsOf: URL(filePath: own)) == Data("mine".utf8))
    #expect(try Array(Data(contentsOf: URL(filePath: moved))) == Self.weights.contents)
  }

  @Test("A disk without room is found out before the download")
  func room() async throws {
    let hub = try FakeHub(Self.pipeline)
    let error = await error(hub) { $0.freeByteCount = { _ in 1000 } }
    #expect(error?.code == .diskFull)
    #expect(error?.message.contains("needs 300017 bytes more") ?? false, "\(error?.message ?? "")")
    #expect(hub.downloads == ["GET model_index.json"])
  }
}

/// The waits that a pull would have made.
final class Waits: Sendable {
  private let waits = Mutex<[Duration]>([])
  var all: [Duration] { waits.withLock { $0 } }
  func add(_ wait: Duration) { waits.withLock { $0.append(wait) } }
}
