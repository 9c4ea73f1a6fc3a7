internal import FlowCore
internal import FlowModels
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Metrics
internal import StreamFlow

/// The server's own status: `/healthz`, `/readyz`, `/metrics`, `/v1/models`, `/v1/status`.
struct StatusRoutes: Sendable {
  let shelf: ModelShelf
  let desk: OrderDesk
  let jobs: JobRegistry
  let streams: StreamRegistry
  let tally: ImageTally
  let metrics: PrometheusRegistry
  let options: ServerOptions
  let start = ContinuousClock.now
  private static let failure = "the model cannot be loaded; the server's log says why"

  func add(to router: some RouterMethods<ServerContext>) {
    router.get("healthz") { _, _ in Self.text("ok\n") }
    router.get("readyz") { _, _ in
      switch await shelf.readiness() {
      case .ready: return Self.text("ready\n")
      case .failed:
        // Without a token, anyone may ask: the paths of models are not disclosed.
        throw ServerError(
          .serviceUnavailable, "model_unavailable",
          Self.failure)
      case .loading, .unloaded:
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
    let models = await batches()
    var rows = models.reduce(0) { $0 + $1.batches.reduce(0) { $0 + $1.rows.count } }
    for session in streams.sessions { rows += await session.inFlightCount }
    var gauges = [
      gauge("streamflow_rows_in_flight", [], Double(rows)),
      gauge("streamflow_queued_pictures", [], Double(await desk.imageBacklog)),
      gauge("streamflow_live_streams", [], Double(streams.sessions.count)),
    ]
    let counts = await jobs.counts()
    for status in JobStatus.allCases {
      gauges.append(
        gauge(
          "streamflow_jobs", [("status", status.rawValue)], Double(counts[status, default: 0])))
    }
    for model in models {
      gauges.append(
        gauge("streamflow_model_bytes", [("model", model.id)], Double(model.memoryBytes)))
      for batch in model.batches {
        let size = "\(batch.width)x\(batch.height)"
        gauges.append(
          gauge(
            "streamflow_tick_seconds", [("model", model.id), ("size", size)], batch.tickSeconds))
      }
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
    for host in shelf.hosts { models.append(await model(host)) }
    return Models(data: models)
  }

  /// One model; for an OpenAI model name, its substitute.
  private func model(named name: String) async throws -> Response {
    Response.json(await model(try shelf.host(name.removingPercentEncoding ?? name)))
  }

  private func model(_ host: ModelHost) async -> Models.Model {
    let state = await host.state
    let checkpoint = await host.checkpoint
    let defaults = checkpoint?.defaults()
    let guidance = defaults.flatMap { checkpoint?.guidance(scale: $0.guidanceScale) }
    var reason: String?
    // The message contains the server's paths, which clients must not see.
    if case .failed = state { reason = Self.failure }
    return Models.Model(
      id: host.name, created: Int(Date().timeIntervalSince1970 - uptime),
      streamflow: Models.Model.Details(
        state: state.name, reason: reason, width: checkpoint?.nativeSize.width,
        height: checkpoint?.nativeSize.height, sizeMultiple: checkpoint?.sizeMultiple,
        steps: defaults?.stepCount, guidance: guidance.map { $0.kind?.rawValue ?? "distilled" },
        guidanceScale: defaults?.guidanceScale, canEdit: checkpoint?.hasEncoder,
        maxN: options.limits.imageCount, maxSteps: options.limits.stepCount,
        maxSide: options.limits.side))
  }

  // MARK: - Status

  private struct Status: Encodable {
    struct Model: Encodable {
      let id: String
      let state: String
      let reason: String?
      let memoryBytes: Int
      let batches: [Batch]
    }

    struct Batch: Encodable {
      struct Row: Encodable {
        let request: String
        let picture: Int
        let stage: Int
        let steps: Int
        let advances: Bool
      }

      let width: Int
      let height: Int
      let rowCapacity: Int
      let tickSeconds: Double
      let rows: [Row]
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

    struct Live: Encodable {
      let id: String
      let model: String
      let width: Int
      let height: Int
      let rows: Int
      /// The number of frames in flight.
      let inFlight: Int
      let made: Int
      let skipped: Int
      let framesPerSecond: Double
    }

    let uptimeSeconds: Double
    let version: String
    let models: [Model]
    let queue: Queue
    let throughput: [Throughput]
    let pictures: Int
    let streams: [Live]
  }

  private var uptime: Double { (ContinuousClock.now - start) / .seconds(1) }

  private func status() async -> Status {
    Status(
      uptimeSeconds: uptime, version: streamFlowVersion, models: await batches(),
      queue: Status.Queue(
        requests: await desk.orderCount, pictures: await desk.imageBacklog,
        capacity: options.limits.queuedImageCount),
      throughput: tally.recent.map {
        Status.Throughput(secondsAgo: $0.secondsAgo, pictures: $0.pictures)
      }, pictures: tally.count, streams: await live())
  }

  private func batches() async -> [Status.Model] {
    var models: [Status.Model] = []
    for host in shelf.hosts {
      var batches: [Status.Batch] = []
      for (size, generator) in await host.batches {
        let statistics = await generator.statistics
        let orders = await desk.orders(of: generator)
        let ticks = max(statistics.tickCount, 1)
        batches.append(
          Status.Batch(
            width: size.width, height: size.height, rowCapacity: generator.rowCapacity,
            tickSeconds: statistics.tickTime / .seconds(1) / Double(ticks),
            rows: await generator.flights.map { flight in
              Status.Batch.Row(
                request: orders[flight.stream] ?? "s\(flight.stream)", picture: flight.index,
                stage: flight.stage, steps: flight.stageCount, advances: flight.advances)
            }))
      }
      let state = await host.state
      var reason: String?
      // The message contains the server's paths, which clients must not see.
      if case .failed = state { reason = Self.failure }
      models.append(
        Status.Model(
          id: host.name, state: state.name, reason: reason, memoryBytes: await host.byteCount,
          batches: batches))
    }
    return models
  }

  private func live() async -> [Status.Live] {
    var live: [Status.Live] = []
    for session in streams.sessions {
      let report = await session.report()
      let size = report.settings.size.split(separator: "x").compactMap { Int($0) }
      live.append(
        Status.Live(
          // The stream's own id grants access to it.
          id: "\(session.number)",
          model: session.model, width: size.first ?? 0, height: size.last ?? 0,
          rows: report.rows, inFlight: await session.inFlightCount, made: report.statistics.made,
          skipped: report.statistics.skipped,
          framesPerSecond: report.statistics.framesPerSecond))
    }
    return live.sorted { Int($0.id) ?? 0 < Int($1.id) ?? 0 }
  }
}
