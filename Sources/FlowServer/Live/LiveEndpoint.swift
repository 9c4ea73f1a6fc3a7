internal import Foundation
internal import Hummingbird
package import Logging
internal import ServiceLifecycle
internal import StreamFlow

/// Runs live streams of gateways at a worker, with the models of its images.
package final class LiveEndpoint: Sendable {
  /// Where a worker listens for gateways.
  package struct Address: Sendable {
    /// The address to listen at.
    package var host: String
    /// The port to listen at; 0 for any free port.
    package var port: Int
    /// The name or address at which gateways reach the worker, if it is another.
    package var publicHost: String?

    package init(host: String, port: Int = 0, publicHost: String? = nil) {
      (self.host, self.port, self.publicHost) = (host, port, publicHost)
    }
  }

  private let address: Address
  private let worker: String
  private let front: HTTPFront
  private let streams: LocalStreams
  private let stop = StopSignal()
  private let token: String
  private let memory: MemoryBudget

  /// Creates an endpoint that does not listen yet.
  ///
  /// - Parameters:
  ///   - address: where it listens.
  ///   - worker: the worker's name among all.
  ///   - service: the models.
  ///   - options: the models' devices, and the limits of streams.
  ///   - logger: the log.
  /// - Throws: ``ServerSetupError`` for an address of another form.
  package init(
    _ address: Address, worker: String, service: LocalImageService, options: ServerOptions,
    logger: Logger
  ) throws(ServerSetupError) {
    (self.address, self.worker) = (address, worker)
    let metrics = PrometheusRegistry(help: [:])
    var limits = options.limits
    // All connections come from the gateways.
    limits.connectionCountPerAddress = limits.connectionCount
    token = RandomName.make("live")
    memory = MemoryBudget(capacity: limits.requestMemoryByteCount)
    let gate: GateMiddleware
    do {
      gate = GateMiddleware(
        hosts: try HostCheck(
          boundHost: address.host, hostNames: [address.publicHost].compactMap(\.self)),
        token: try BearerToken(token),
        forwarding: Forwarding(publicURL: nil, proxies: try TrustedProxies([])))
    } catch { throw ServerSetupError("\(error)") }
    streams = LocalStreams(
      registry: StreamRegistry(
        service.shelf, options: options, tally: ImageTally(metrics: metrics), stop: stop,
        intake: ImageIntake(memory, maximumPixelCount: limits.imagePixelCount),
        idSuffix: PlacedStream.idSuffix(worker: worker), logger: logger), limits: limits,
      servesGateways: true)
    front = HTTPFront(
      host: address.host, port: address.port, limits: limits, gate: gate, streams: streams,
      metrics: metrics, logger: logger, settings: [])
  }

  /// The live streams.
  package func reports() async -> [LiveReport] { await streams.reports() }

  /// Serves gateways until the task is cancelled.
  ///
  /// - Parameter didStart: called with how gateways reach it, once it does.
  /// - Throws: ``ServerSetupError`` where the address cannot be listened at.
  package func run(didStart: @escaping @Sendable (LiveHost) async -> Void) async throws {
    let (worker, token) = (worker, token)
    let host = address.publicHost ?? address.host
    let application = front.application(router()) { port in
      await didStart(LiveHost(worker: worker, host: host, port: port, token: token))
    }
    var group = ServiceGroupConfiguration(
      services: [.init(service: application)], gracefulShutdownSignals: [], logger: front.logger)
    // For gateways that read no more.
    group.maximumGracefulShutdownDuration = .seconds(3)
    let services = ServiceGroup(configuration: group)
    let running = Task { try await services.run() }
    let sweeping = Task { [streams] in
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(1))
        await streams.sweep()
      }
    }
    let result = await withTaskCancellationHandler {
      await running.result
    } onCancel: { [streams, stop] in
      Task {
        await streams.closeAll()
        stop.stop()
        await services.triggerGracefulShutdown()
      }
    }
    sweeping.cancel()
    await streams.closeAll()
    do { try result.get() } catch is CancellationError {} catch { throw front.error(error) }
  }

  private func router() -> Router<ServerContext> {
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    let paths = PathMethods()
    router.add(middleware: OutcomeMiddleware(paths: paths, metrics: front.metrics))
    router.add(middleware: front.gate)
    router.add(middleware: MemoryMiddleware(budget: memory))
    router.get("healthz") { _, _ in "ok\n" }
    streams.add(to: router)
    return router
  }
}
