internal import FlowEngine
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import Metrics
internal import NIOCore
internal import ServiceLifecycle
internal import StreamFlow
internal import Synchronization
internal import UnixSignals

/// Serves images and live streams over HTTP, with a web UI.
///
/// All image requests for one model and size are trajectories of one stream batch. They share the
/// device's queue with live streams.
public struct Server: Sendable {
  private let options: ServerOptions
  private let logger: Logger
  private let token: BearerToken?
  private let hosts: HostCheck
  private let forwarding: Forwarding
  private let service: any ImageService
  private let desk: OrderDesk
  private let jobs: JobRegistry
  private let streams: any LiveStreams
  private let store: ResultStore
  private let tally: ImageTally
  private let metrics: PrometheusRegistry
  private let stop = StopSignal()
  private let memory: MemoryBudget
  private let intake: ImageIntake

  /// The descriptions of metrics.
  ///
  /// The registry belongs to the server: the program chooses the one of the process.
  private static let metricHelp = [
    "streamflow_rows_in_flight": "Images in flight, frames of live streams included",
    "streamflow_queued_pictures": "Requested images that are not finished",
    "streamflow_live_streams": "Open live streams",
    "streamflow_jobs": "Jobs by state; ended ones until they are removed",
    "streamflow_model_bytes": "Approximate memory of a model's engines",
    "streamflow_tick_seconds": "Mean time of a tick",
    "streamflow_pictures": "Finished images, by source: request (including jobs) or live stream",
    "streamflow_queue_wait": "Time from a request to its first event",
    "streamflow_requests": "Requests by method, route and status",
    "streamflow_request_duration": "Time from a request's head to the end of its response",
    "streamflow_worker_rows_busy": "Images that a worker makes just now",
    "streamflow_worker_rows": "The most images that a worker makes at once",
    "streamflow_worker_pictures": "Images that a worker made",
    "streamflow_worker_image_seconds": "Mean time of an image at a worker",
    "streamflow_worker_redelivered": "Images handed to a worker after another did not finish them",
    "streamflow_worker_superseded": "Images of a worker that another had finished first",
    "streamflow_worker_age_seconds": "Time since a worker was heard of last",
    "streamflow_rejected": "Rejected requests, by reason",
  ]

  /// Creates a server that does not listen yet.
  ///
  /// - Throws: an error for invalid options: a publicly reachable address without a token, a token
  ///   file that cannot be read, a state folder that is in use, damaged or newer than this version.
  public init(_ options: ServerOptions, logger: Logger) throws(ServerSetupError) {
    try self.init(
      options, service: LocalImageService(options, logger: logger), logger: logger)
  }

  /// The same with images that a service makes, whichever it is.
  package init(
    _ options: ServerOptions, service: any ImageService, logger: Logger
  ) throws(ServerSetupError) {
    let jobStore: JobStore
    guard options.isLoopback || options.tokenFile != nil else {
      throw ServerSetupError(
        "'\(options.host)' can be reached from other machines, and anyone there could use the "
          + "server; give a token in a file, of 16 characters or more, or listen at "
          + "127.0.0.1", settings: [.tokenFile, .host])
    }
    self.options = options
    self.logger = logger
    do {
      token = try options.tokenFile.map { try BearerToken(file: $0) }
      forwarding = Forwarding(
        publicURL: try options.publicURL.map { try PublicURL(validating: $0) },
        proxies: try TrustedProxies(options.trustedProxies))
      hosts = try HostCheck(
        boundHost: options.host, hostNames: options.hostNames, origins: options.origins,
        publicURL: forwarding.publicURL)
      store = try ResultStore(
        folder: options.resultFolder, maximumByteCount: options.limits.resultByteCount,
        lifetime: options.limits.resultTime)
      jobStore =
        if let folder = options.stateFolder { try JobStore(folder: folder) } else {
          try JobStore(temporaryIn: options.resultFolder)
        }
    } catch { throw ServerSetupError("\(error)") }
    metrics = PrometheusRegistry(help: Self.metricHelp)
    self.service = service
    tally = ImageTally(metrics: metrics)
    desk = OrderDesk(
      service, limits: options.limits, tally: tally, metrics: metrics, stop: stop, logger: logger)
    jobs = JobRegistry(maker: desk, store: jobStore, limits: options.limits, logger: logger)
    memory = MemoryBudget(capacity: options.limits.requestMemoryByteCount)
    intake = ImageIntake(memory, maximumPixelCount: options.limits.imagePixelCount)
    streams =
      if let local = service as? LocalImageService {
        LocalStreams(
          registry: StreamRegistry(
            local.shelf, options: options, tally: tally, stop: stop, intake: intake, logger: logger),
          limits: options.limits)
      } else {
        RelayedStreams(placement: service.livePlacement, limits: options.limits, stop: stop)
      }
  }

  /// Serves until the task is cancelled, or a signal stops the process
  /// (``ServerOptions/endsBySignal``).
  ///
  /// The first model is loaded before the port is opened; on failure, the others are tried.
  ///
  /// - Parameter didStart: called with the port once connections are accepted.
  /// - Throws: ``ModelsUnavailable`` if no model can be loaded, ``ServerSetupError`` if the port
  ///   cannot be opened.
  public func run(didStart: @escaping @Sendable (_ port: Int) async -> Void = { _ in }) async throws
  {
    let gate = GateMiddleware(hosts: hosts, token: token, forwarding: forwarding)
    let front = HTTPFront(
      host: options.host, port: options.port, limits: options.limits, gate: gate,
      streams: streams, metrics: metrics, logger: logger)
    let application = front.application(router(gate), didStart: didStart)
    let (service, jobs) = (service, jobs)
    let reading = Task {
      try await service.start()
      try Task.checkCancellation()
      // Before the port is opened, so that the first client finds them in progress.
      await jobs.resume()
    }
    var group = ServiceGroupConfiguration(
      // Services shut down in reverse order.
      services: [
        .init(
          service: Listening(reading: reading, application: application),
          failureTerminationBehavior: .gracefullyShutdownGroup),
        .init(
          service: Upkeep(server: self, reading: reading),
          failureTerminationBehavior: .gracefullyShutdownGroup),
      ],
      gracefulShutdownSignals: options.endsBySignal ? [.sigterm, .sigint] : [],
      logger: logger)
    group.maximumGracefulShutdownDuration = options.grace + .seconds(1)
    let services = ServiceGroup(configuration: group)
    let running = Task { try await services.run() }
    let result = await withTaskCancellationHandler {
      await running.result
    } onCancel: {
      Task { await services.triggerGracefulShutdown() }
    }
    await store.close()
    await service.close()
    await jobs.close()
    do { try result.get() } catch is CancellationError {} catch { throw front.error(error) }
  }

  private func router(_ gate: GateMiddleware) -> Router<ServerContext> {
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    let paths = PathMethods()
    router.add(middleware: CrossOriginMiddleware(hosts: hosts))
    router.add(middleware: OutcomeMiddleware(paths: paths, metrics: metrics))
    router.add(middleware: gate)
    router.add(middleware: PreflightMiddleware(hosts: hosts))
    router.add(middleware: MemoryMiddleware(budget: memory))
    StatusRoutes(
      service: service, desk: desk, jobs: jobs, streams: streams, tally: tally, metrics: metrics,
      options: options
    ).add(to: router)
    PromptRoutes(service: service).add(to: router)
    ImageRoutes(desk: desk, store: store, intake: intake, limits: options.limits).add(to: router)
    JobRoutes(jobs: jobs, desk: desk, intake: intake, limits: options.limits).add(to: router)
    streams.add(to: router)
    PageRoutes().add(to: router)
    paths.learn(Self.routes(of: router))
    return router
  }

  /// The method and path of every route, for comparison with the API description.
  var routes: [(method: String, path: String)] {
    Self.routes(of: router(GateMiddleware(hosts: hosts, token: nil, forwarding: forwarding)))
  }

  /// HEAD accompanies GET and is not listed.
  private static func routes(of router: Router<ServerContext>) -> [(method: String, path: String)] {
    router.routes.filter { $0.method != .head }.map { ($0.method.rawValue, $0.path.description) }
  }

  /// Serves requests, once a model is loaded.
  private struct Listening<Listener: Service>: Service, CustomStringConvertible {
    let reading: Task<Void, any Error>
    let application: Listener
    var description: String { "Listening" }

    func run() async throws {
      // The maintenance service reports the failure, and ends the group.
      guard case .success = await reading.result else { return try await gracefulShutdown() }
      try await application.run()
    }
  }

  /// Background work besides requests.
  private struct Upkeep: Service, CustomStringConvertible {
    let server: Server
    let reading: Task<Void, any Error>
    var description: String { "Upkeep" }

    func run() async throws {
      var failure: ModelsUnavailable?
      do {
        try await cancelWhenGracefulShutdown {
          try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
              try await withTaskCancellationHandler {
                try await reading.value
              } onCancel: {
                // A server that stops continues no job.
                reading.cancel()
              }
              // Not awaited: a compilation cannot be interrupted, and must not delay a shutdown.
              Task { await server.service.warmUp() }
            }
            group.addTask { try await server.sweep() }
            // Not waitForAll(), which does not end before the sweeps do.
            for try await _ in group {}
          }
        }
      } catch let error as ModelsUnavailable { failure = error } catch {
        // The failure is thrown below.
      }
      await server.windDown()
      if let failure { throw failure }
    }
  }

  /// Removes expired objects, every second.
  private func sweep() async throws {
    while true {
      try await Task.sleep(for: .seconds(1))
      await streams.sweep()
      await jobs.expire()
      await store.expire(now: .now)
    }
  }

  /// Accepts no further requests, waits for images in flight during the grace period, and answers
  /// other requests with an error.
  ///
  /// Stored jobs are suspended at once: the next process continues them.
  private func windDown() async {
    logger.info("stopping")
    await desk.close()
    await streams.closeAll()
    await jobs.suspend()
    let end = ContinuousClock.now + options.grace
    while ContinuousClock.now < end, await desk.orderCount > 0 {
      do { try await Task.sleep(for: .milliseconds(50)) } catch { break }
    }
    await jobs.stop()
    // Waiting requests are answered while their connections are still open.
    stop.stop()
  }
}
