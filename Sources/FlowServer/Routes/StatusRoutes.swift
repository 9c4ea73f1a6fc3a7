internal import FlowCore
internal import FlowModels
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Metrics
internal import StreamFlow

/// The server's own status: `/healthz`, `/readyz`, `/metrics`, `/v1/models`, `/v1/status`.
struct StatusRoutes: Sendable {
  let service: any ImageService
  let desk: OrderDesk
  let jobs: JobRegistry
  let streams: any LiveStreams
  let tally: ImageTally
  let metrics: PrometheusRegistry
  let options: ServerOptions
  let start = ContinuousClock.now
  private static let failure = "the model cannot be loaded; the server's log says why"

  func add(to router: some RouterMethods<ServerContext>) {
    router.get("healthz") { _, _ in Self.text("ok\n") }
    router.get("readyz") { _, _ in
      switch await service.models().first?.state {
      case "ready": return Self.text("ready\n")
      case "failed":
        // Without a token, anyone may ask: the paths of models are not disclosed.
        throw ServerError(
          .serviceUnavailable, "model_unavailable",
          Self.failure)
      case nil: throw ServerError.noWorkers
      default:
        throw ServerError(
          .serviceUnavailable, "loading", "the model is being loaded", retryAfter: 1)
      }
    }
    router.get("metrics") { _, _ in
      let gauges = await gauges()
      // Gauges of removed objects must not persist.
      defer { for gauge in gauges { gauge.destroy() } }
      return Self.text(metrics.text(), type: "text/plain; version=0.0.4; charset=utf-8")
    }
    router.get("openapi.json") { _, _ in
      Response.bytes(PackageResources.openapi_json, type: "application/json")
    }
    router.get("v1/models") { _, _ in Response.json(await models()) }
    router.get("v1/models/:id") { _, context in
      try await model(named: context.parameters.get("id") ?? "")
    }
    // The name of a hub's model contains a slash, which not every client encodes.
    router.get("v1/models/:id/:name") { _, context in
      try await model(
        named: [context.parameters.get("id"), context.parameters.get("name")]
          .compactMap(\.self).joined(separator: "/"))
    }
    router.get("v1/status") { _, _ in Response.json(await status()) }
  }

  /// Gauges that are computed for each request.
  private func gauges() async -> [Meter] {
    func gauge(_ label: String, _ labels: [(String, String)] = [], _ value: Double) -> Meter {
      let meter = Meter(label: label, dimensions: labels, factory: metrics)
      meter.set(value)
      return meter
    }
    let models = await service.models()
    var rows = models.reduce(0) { $0 + $1.batches.reduce(0) { $0 + $1.rows.count } }
    let live = await streams.reports()
    rows += live.reduce(0) { $0 + $1.inFlight }
    var gauges = [
      gauge("streamflow_rows_in_flight", [], Double(rows)),
      gauge("streamflow_queued_pictures", [], Double(await desk.imageBacklog)),
      gauge("streamflow_live_streams", [], Double(live.count)),
    ]
    let counts = await jobs.counts()
    for status in JobStatus.allCases {
      gauges.append(
        gauge(
          "streamflow_jobs", [("status", status.rawValue)], Double(counts[status, default: 0])))
    }
    for model in models {
      gauges.append(
        gauge("streamflow_model_bytes", [("model", model.name)], Double(model.memoryBytes)))
      for batch in model.batches {
        let size = "\(batch.width)x\(batch.height)"
        gauges.append(
          gauge(
            "streamflow_tick_seconds", [("model", model.name), ("size", size)], batch.tickSeconds))
      }
    }
    for worker in await service.workers() ?? [] {
      gauges += worker.gauges.map { gauge($0.label, [("worker", worker.name)], $0.value) }
    }
    return gauges
  }

  private static func text(
    _ text: String, type: String = "text/plain; charset=utf-8"
  ) -> Response {
    .bytes(Array(text.utf8), type: type)
  }

  // MARK: - Models

  private struct Models: Encodable {
    struct Model: Encodable {
      struct Details: Encodable {
        let state: String
        let reason: String?
        let width: Int?
        let height: Int?
        let sizeMultiple: Int?
        let steps: Int?
        let guidance: String?
        let guidanceScale: Float?
        let canEdit: Bool?
        /// The most images that an edit reads as references.
        let maxReferences: Int?
        let adapters: [ServiceModel.Adapter]?
        /// The upscaling that suits its images.
        let upscale: Int?
        let maxN: Int
        let maxSteps: Int
        let maxSide: Int
      }

      let id: String
      let object = "model"
      let created: Int
      let ownedBy = "streamflow"
      let streamflow: Details
    }

    let object = "list"
    let data: [Model]
  }

  private func models() async -> Models {
    var models: [Models.Model] = []
    for known in await service.models() { models.append(model(known)) }
    return Models(data: models)
  }

  /// One model; for an OpenAI model name, its substitute.
  private func model(named name: String) async throws -> Response {
    let name = try await service.modelName(name.removingPercentEncoding ?? name)
    guard let known = await service.models().first(where: { $0.name == name }) else {
      throw ServerError.noWorkers
    }
    return Response.json(model(known))
  }

  /// The message about a model that failed contains paths of its host, which clients must not see.
  private static func reason(_ model: ServiceModel) -> String? {
    model.state == "failed" ? failure : nil
  }

  private func model(_ model: ServiceModel) -> Models.Model {
    let details = model.details
    return Models.Model(
      id: model.name, created: Int(Date().timeIntervalSince1970 - uptime),
      streamflow: Models.Model.Details(
        state: model.state, reason: Self.reason(model), width: details?.width,
        height: details?.height, sizeMultiple: details?.sizeMultiple, steps: details?.steps,
        guidance: details?.guidance, guidanceScale: details?.guidanceScale,
        canEdit: details?.canEdit, maxReferences: details?.references, adapters: details?.adapters,
        upscale: details?.upscale, maxN: options.limits.imageCount,
        maxSteps: options.limits.stepCount, maxSide: options.limits.side))
  }

  // MARK: - Status

  private struct Status: Encodable {
    struct Model: Encodable {
      let id: String
      let state: String
      let reason: String?
      let memoryBytes: Int
      let batches: [ServiceModel.Batch]
    }

    struct Queue: Encodable {
      let requests: Int
      let pictures: Int
      let capacity: Int
    }

    struct Throughput: Encodable {
      let secondsAgo: Int
      let pictures: Int
    }

    let uptimeSeconds: Double
    let version: String
    let models: [Model]
    /// The workers that make the images, where others do.
    let workers: [ServiceWorker]?
    let queue: Queue
    let throughput: [Throughput]
    let pictures: Int
    let streams: [LiveReport]
  }

  private var uptime: Double { (ContinuousClock.now - start) / .seconds(1) }

  private func status() async -> Status {
    Status(
      uptimeSeconds: uptime, version: streamFlowVersion,
      models: await service.models().map(Self.status), workers: await service.workers(),
      queue: Status.Queue(
        requests: await desk.orderCount, pictures: await desk.imageBacklog,
        capacity: options.limits.queuedImageCount),
      throughput: tally.recent.map {
        Status.Throughput(secondsAgo: $0.secondsAgo, pictures: $0.pictures)
      }, pictures: tally.count, streams: await streams.reports())
  }

  private static func status(_ model: ServiceModel) -> Status.Model {
    Status.Model(
      id: model.name, state: model.state, reason: reason(model), memoryBytes: model.memoryBytes,
      batches: model.batches)
  }
}
