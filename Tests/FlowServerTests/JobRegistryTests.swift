import FlowCore
import FlowImage
import FlowModels
import FlowTestSupport
import Foundation
import HTTPTypes
import Logging
import StreamFlow
import Synchronization
import Testing

@testable import FlowServer

@Suite struct JobRegistryTests {
  private let folder: TemporaryFolder
  private let maker = FakeJobImageMaker()

  init() throws { folder = try TemporaryFolder() }

  private func registry(
    _ maker: FakeJobImageMaker? = nil, limits: ServerLimits = ServerLimits(),
    put: @escaping FolderFiles.Put = FolderFiles.put
  ) throws -> JobRegistry {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return JobRegistry(
      maker: maker ?? self.maker, store: try JobStore(folder: "\(folder.path)/state", put: put),
      limits: limits, logger: logger, retryInterval: .milliseconds(5))
  }

  private func status(_ registry: JobRegistry, _ id: String) async throws -> JobStatus {
    try await registry.report(id).status
  }

  @Test("A job continues in the next process with the images that are missing, and their seeds")
  func resuming() async throws {
    var registry = try registry()
    maker.change { $0.allowance = 3 }
    let accepted = try await registry.add(
      try .job(#"{"prompts": ["a", "b"], "n": 3}"#), client: "someone")
    #expect(accepted.model == "fake" && accepted.total == 6)
    #expect(try await eventually { try await registry.report(accepted.id).done == 3 })
    await registry.suspend()
    await registry.close()

    registry = try self.registry()
    maker.change { $0.allowance = nil }
    await registry.resume()
    #expect(try await eventually { try await status(registry, accepted.id) == .done })
    #expect(maker.calls == [[0, 1, 2, 3, 4, 5], [3, 4, 5]])
    let report = try await registry.report(accepted.id)
    #expect(report.seed == accepted.seed && report.done == 6)
    #expect(report.images?.map(\.index) == [0, 1, 2, 3, 4, 5])
    for image in report.images ?? [] {
      let seed = accepted.seed + UInt64(image.index % 3)
      #expect(image.seed == seed)
      let (bytes, type) = try await registry.image(image.index, of: accepted.id)
      #expect(bytes == FakeJobImageMaker.file(seed: seed, index: image.index))
      #expect(type == "image/png")
    }
    await registry.close()
  }

  @Test("A full disk pauses a job with the reason; it continues when there is room")
  func fullDisk() async throws {
    let isFull = Mutex(false)
    let registry = try registry { file, bytes in
      guard isFull.withLock({ $0 }) else { return FolderFiles.put(file, bytes) }
      errno = ENOSPC
      return false
    }
    maker.change { $0.allowance = 2 }
    let id = try await registry.add(try .job(#"{"prompt": "a", "n": 5}"#), client: "").id
    #expect(try await eventually { try await registry.report(id).done == 2 })
    let changes = try await registry.changes(id)
    isFull.withLock { $0 = true }
    maker.change { $0.allowance = nil }
    #expect(try await eventually { try await status(registry, id) == .paused })
    let paused = try await registry.report(id)
    #expect(paused.error?.code == "disk_full" && paused.done == 2)
    #expect(paused.error?.message.contains("continues by itself") == true)
    #expect(paused.error?.message.contains(folder.path) == false)
    #expect(await registry.counts()[.paused] == 1)
    #expect(try await registry.page(JobQuery(status: .paused)).data.map(\.id) == [id])
    isFull.withLock { $0 = false }
    #expect(try await eventually { try await status(registry, id) == .done })
    let done = try await registry.report(id)
    #expect(done.error == nil && done.images?.map(\.index) == [0, 1, 2, 3, 4])
    // A follower of the job sees the pause, each image once, and the end.
    var (statuses, images): ([JobStatus], [Int]) = ([], [])
    for await change in changes {
      switch change {
      case .image(let image): images.append(image.index)
      case .progress(let report), .over(let report):
        if statuses.last != report.status { statuses.append(report.status) }
      case .interrupted: Issue.record("interrupted")
      }
    }
    #expect(statuses == [.running, .paused, .running, .done])
    #expect(images == [2, 3, 4])
    await registry.close()
  }

  @Test("A job whose model is no longer there waits for it, and names it")
  func missingModel() async throws {
    var registry = try registry()
    maker.change { $0.allowance = 1 }
    let id = try await registry.add(try .job(#"{"prompt": "a", "n": 2}"#), client: "").id
    #expect(try await eventually { try await registry.report(id).done == 1 })
    await registry.suspend()
    await registry.close()

    let other = FakeJobImageMaker()
    other.change { $0.model = "other" }
    registry = try self.registry(other)
    await registry.resume()
    #expect(try await eventually { try await status(registry, id) == .paused })
    let report = try await registry.report(id)
    #expect(report.error?.code == "model_not_found" && report.model == "fake")
    // The model comes back.
    other.change { $0.model = "fake" }
    #expect(try await eventually { try await status(registry, id) == .done })
    await registry.close()
    // A new job of a model that is not there is refused at once.
    registry = try self.registry()
    await #expect(throws: ServerError.self) {
      try await registry.add(try .job(#"{"prompt": "a", "model": "none"}"#), client: "")
    }
    await registry.close()
  }

  @Test("A cancelled job stays cancelled, and followers of a suspended one get an error")
  func ends() async throws {
    var registry = try registry()
    maker.change { $0.allowance = 1 }
    let cancelled = try await registry.add(try .job(#"{"prompt": "a", "n": 9}"#), client: "").id
    #expect(try await eventually { try await registry.report(cancelled).done == 1 })
    #expect(try await registry.remove(cancelled).status == .cancelled)
    #expect(await registry.counts() == [.cancelled: 1, .done: 0, .failed: 0])
    let suspended = try await registry.add(try .job(#"{"prompt": "a"}"#), client: "").id
    let changes = try await registry.changes(suspended)
    await registry.suspend()
    var last: JobChange?
    for await change in changes { last = change }
    if case .interrupted(let error) = last {
      #expect(error.code == "shutting_down" && error.status == .serviceUnavailable)
    } else {
      Issue.record("\(last as Any)")
    }
    await registry.close()

    registry = try self.registry()
    // A job that is not continued yet has not ended.
    for await change in try await registry.changes(suspended) {
      guard case .interrupted = change else {
        Issue.record("\(change)")
        continue
      }
    }
    maker.change { $0.allowance = nil }
    await registry.resume()
    #expect(try await eventually { try await status(registry, suspended) == .done })
    #expect(try await status(registry, cancelled) == .cancelled)
    // Followers of what has ended see the end at once.
    for await change in try await registry.changes(cancelled) {
      guard case .over(let report) = change else { continue }
      #expect(report.status == .cancelled && report.done == 1)
    }
    #expect(try await registry.remove(cancelled).id == cancelled)
    await #expect(throws: ServerError.self) { try await registry.report(cancelled) }
    await registry.close()
  }

  @Test("A job waits while the queue is full, and asks for no more than the queue holds")
  func queue() async throws {
    let maker = FakeJobImageMaker(jobCapacity: 4)
    maker.change { $0.refusalCount = 3 }
    let registry = try registry(maker)
    let id = try await registry.add(try .job(#"{"prompt": "a", "n": 10}"#), client: "").id
    #expect(try await eventually { try await status(registry, id) == .done })
    #expect(maker.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]])
    await registry.close()
  }

  @Test("Images that fail are counted, and not tried again; a job of failures alone has failed")
  func failures() async throws {
    let registry = try registry()
    maker.change { $0.failing = [1] }
    let mixed = try await registry.add(try .job(#"{"prompt": "a", "n": 3}"#), client: "").id
    #expect(try await eventually { try await status(registry, mixed) == .done })
    let report = try await registry.report(mixed)
    #expect(report.done == 2 && report.failed == 1 && report.error?.message == "it failed")
    #expect(maker.calls.count == 1)
    maker.change { $0.failing = [0] }
    let failed = try await registry.add(try .job(#"{"prompt": "a"}"#), client: "").id
    #expect(try await eventually { try await status(registry, failed) == .failed })
    #expect(await registry.counts() == [.done: 1, .failed: 1, .cancelled: 0])
    await registry.close()
  }

  @Test("Ended jobs are rows and nothing else, and the most of them is bounded")
  func endedJobs() async throws {
    var limits = ServerLimits()
    limits.endedJobCount = 30
    limits.jobCount = 2
    let registry = try registry(limits: limits)
    for _ in 0..<50 {
      let id = try await registry.add(try .job(#"{"prompt": "a"}"#), client: "").id
      #expect(try await eventually { try await status(registry, id) == .done })
    }
    #expect(try await eventually { await registry.activeCount == 0 })
    await registry.expire()
    #expect(await registry.counts() == [.done: 30, .failed: 0, .cancelled: 0])
    maker.change { $0.allowance = 0 }
    for _ in 0..<2 {
      _ = try await registry.add(try .job(#"{"prompt": "a"}"#), client: "")
    }
    let error = await #expect(throws: ServerError.self) {
      try await registry.add(try .job(#"{"prompt": "a"}"#), client: "")
    }
    #expect(error?.code == "too_many_jobs" && error?.status == .tooManyRequests)
    await registry.close()
  }

  @Test("Pages of jobs: running and ended ones, by state, in both directions")
  func pages() async throws {
    let registry = try registry()
    var ids: [String] = []
    for _ in 0..<3 {
      ids.append(try await registry.add(try .job(#"{"prompt": "a"}"#), client: "").id)
      #expect(try await eventually { await registry.activeCount == 0 })
    }
    maker.change { $0.allowance = 0 }
    ids.append(try await registry.add(try .job(#"{"prompt": "a"}"#), client: "").id)
    #expect(try await eventually { try await status(registry, ids[3]) == .running })
    let first = try await registry.page(JobQuery(limit: 2))
    #expect(first.data.map(\.id) == [ids[3], ids[2]] && first.hasMore)
    #expect(first.data.map(\.status) == [.running, .done])
    #expect(first.firstId == ids[3] && first.lastId == ids[2])
    let rest = try await registry.page(JobQuery(limit: 2, after: first.lastId))
    #expect(rest.data.map(\.id) == [ids[1], ids[0]] && !rest.hasMore)
    #expect(try await registry.page(JobQuery(status: .running)).data.map(\.id) == [ids[3]])
    #expect(try await registry.page(JobQuery(status: .queued)).data.isEmpty)
    let oldest = try await registry.page(JobQuery(limit: 1, status: .done, isAscending: true))
    #expect(oldest.data.map(\.id) == [ids[0]] && oldest.hasMore)
    let error = await #expect(throws: ServerError.self) {
      try await registry.page(JobQuery(after: "nothing"))
    }
    #expect(error?.parameter == "after" && error?.status == .badRequest)
    await registry.close()
  }

  @Test("A job's input image is stored with it, byte for byte")
  func inputImage() async throws {
    let image = PixelImage(width: 3, height: 2, pixels: (0..<18).map { UInt8($0 * 9) })
    let store = try JobStore(folder: "\(folder.path)/state")
    var order = try ImageOrder.job(#"{"prompt": "a", "seed": 3}"#)
    order.source = InputImage(
      image: image, strength: 0.25,
      fit: ImageFit(.contain, background: RGBColor(red: 1, green: 2, blue: 3)))
    let record = try await store.insert(
      JobRequest(order, model: "fake"), id: "job_a", client: "", total: 1,
      input: try image.png())
    let found = try await store.order(of: record.number)
    #expect(found.source == order.source)
    try await store.remove(record)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/state/images").isEmpty)
    store.close()
  }

  @Test("Stored requests of the first version stay readable")
  func storedRequest() throws {
    let text = #"""
      {"order":{"encoding":{"jpeg":{"quality":80}},"model":"sd15","n":2,"partial_images":0,
      "prompts":["a fox","sushi"],"response_format":"b64_json","sampling":{"blend":{"kind":"linear",
      "parts":[{"prompt":"a cat","weight":0.3}]},"delta":0.5,"guidance":"self-negative",
      "guidance_scale":1.5,"negative_prompt":"fog","schedule":"perflow:windows=4,prediction=ddim_eps",
      "seed":18446744073709551615,"seed_blend":{"fraction":0.25,"seed":9},"solver":"heun",
      "spacing":"uniform","steps":8},"size":{"height":64,"width":128},"stream":false,"user":"me",
      "warnings":[]},"source":{"background":[0,0,0],"fit":"cover","strength":0.6}}
      """#
    let request = try JobRequest(json: text, version: 1)
    let json = #"""
      {"prompts": ["a fox", "sushi"], "n": 2, "model": "sd15", "output_format": "jpeg",
       "output_compression": 80, "size": "128x64", "user": "me", "negative_prompt": "fog",
       "seed": 18446744073709551615, "steps": 8, "guidance": "self-negative", "guidance_scale": 1.5,
       "delta": 0.5, "schedule": "perflow:windows=4,prediction=ddim_eps", "spacing": "uniform",
       "solver": "heun", "blend": [{"prompt": "a cat", "weight": 0.3}], "blend_kind": "linear",
       "seed_blend": {"seed": 9, "fraction": 0.25}}
      """#
    var order = try ImageOrder.job(json)
    let image = PixelImage(width: 1, height: 1, pixels: [1, 2, 3])
    order.source = InputImage(image: image, strength: 0.6, fit: ImageFit(.cover))
    let written = try JobRequest(order, model: "sd15").json()
    #expect(written == text.replacing("\n", with: ""))
    #expect(request.seed == .max && request.hasInput)
    #expect(try JobRequest(json: written, version: 1).json() == written)
    // Fields of later versions.
    var later = order
    (later.sampling.promptSyntax, later.sampling.noiseSource) = (.plain, .cuda)
    later.sampling.skipLayers = SkipLayerGuidance(rawValue: "7,8,9")
    #expect(try JobRequest(later, model: "sd15").version == 3)
    later.sampling.skippedTextLayers = 1
    #expect(try JobRequest(later, model: "sd15").version == 5)
    let stored = try JobRequest(later, model: "sd15").json()
    #expect(
      stored.contains(#""noise":"cuda""#) && stored.contains(#""prompt_syntax":"plain""#)
        && stored.contains(#""skip_layers":"7,8,9"#) && stored.contains(#""clip_skip":1"#),
      "\(stored)")
    #expect(try JobRequest(json: stored, version: JobRequest.version).json() == stored)
    #expect(throws: DecodingError.self) {
      try JobRequest(json: text, version: JobRequest.version + 1)
    }
    #expect(throws: DecodingError.self) { try JobRequest(json: "{}", version: 1) }
  }
}
