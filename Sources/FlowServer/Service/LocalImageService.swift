internal import FlowCore
internal import FlowModels
package import Logging
internal import StreamFlow
internal import Synchronization

/// The models of this process.
package final class LocalImageService: ImageService {
  let shelf: ModelShelf
  private let limits: ServerLimits
  private let logger: Logger
  /// What the streams of generators are called.
  private let names = Mutex<[StreamKey: String]>([:])
  /// The helpers for large images of a model, by its name, if any.
  let tileHelpers = Mutex<(@Sendable (_ model: String) -> any TileHelpers)?>(nil)

  private struct StreamKey: Hashable {
    let generator: ObjectIdentifier
    let stream: Int
  }

  /// Uses the models of some options.
  package init(_ options: ServerOptions, logger: Logger) {
    shelf = ModelShelf(options, logger: logger)
    (limits, self.logger) = (options.limits, logger)
  }

  package var livePlacement: (any LivePlacement)? { nil }
  package var tileSharing: (any TileSharing)? { self }

  package func start() async throws { try await shelf.readFirst() }

  package func warmUp() async {
    let host = shelf.hosts[0]
    guard await host.checkpoint != nil else { return }
    do {
      _ = try await shelf.using(host) { try await shelf.generator(nil, of: $0) }
    } catch is CancellationError {} catch {
      // The first request tries again.
      logger.error(
        "cannot prepare engines", metadata: ["model": "\(host.name)", "error": "\(error)"])
    }
  }

  package func close() async {}

  package func workers() async -> [ServiceWorker]? { nil }

  // MARK: - Models

  package func modelName(_ name: String?) async throws(ServerError) -> String {
    try shelf.host(name).name
  }

  package func models() async -> [ServiceModel] {
    var models: [ServiceModel] = []
    for host in shelf.hosts { models.append(await model(host)) }
    return models
  }

  package func model(_ name: String?) async throws -> ServiceModel {
    let host = try shelf.host(name)
    _ = try await host.loaded()
    return await model(host)
  }

  package func prompts(of name: String?) async throws -> ModelPrompts {
    let host = try shelf.host(name)
    return ModelPrompts(model: host.name, try await host.loaded())
  }

  private func model(_ host: ModelHost) async -> ServiceModel {
    var batches: [ServiceModel.Batch] = []
    for (size, generator) in await host.batches {
      let statistics = await generator.statistics
      let flights = await generator.inFlight
      let ticks = max(statistics.tickCount, 1)
      batches.append(
        ServiceModel.Batch(
          width: size.width, height: size.height, rowCapacity: generator.totalRowCapacity,
          tickSeconds: statistics.tickTime / .seconds(1) / Double(ticks),
          rows: names.withLock { names in
            flights.map { flight in
              let key = StreamKey(generator: ObjectIdentifier(generator), stream: flight.stream)
              return ServiceModel.Row(
                request: names[key] ?? "s\(flight.stream)", picture: flight.index,
                stage: flight.stage, steps: flight.stageCount, advances: flight.advances)
            }
          }))
    }
    return ServiceModel(
      name: host.name, state: await host.state.name,
      details: await details(host),
      memoryBytes: await host.byteCount, batches: batches)
  }

  private func details(_ host: ModelHost) async -> ServiceModel.Details? {
    guard let checkpoint = await host.checkpoint else { return nil }
    var details = ServiceModel.Details(checkpoint)
    if let factor = await host.upscale {
      // As many images as the page asks for by default.
      let size = limits.defaultSize(of: checkpoint)
      let pixelCount = 8 * size.width * size.height * factor * factor
      details.upscale = pixelCount <= limits.upscaledPixelCount ? factor : nil
    }
    return details
  }

  // MARK: - Images

  package func make(
    _ work: ServiceOrder,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    let order = work.order
    let host = try shelf.host(order.model)
    try await shelf.using(host) { host in
      let finish = ImageFinish(upscaling: try await upscaling(order.upscale, of: host))
      let generator = try await shelf.generator(order.size, of: host)
      let all = order.requests(of: generator.checkpoint)
      let events = try await generator.events(
        for: work.imageIndices.map { all[$0] }, client: work.client,
        previewCount: order.previewCount)
      let key = StreamKey(generator: ObjectIdentifier(generator), stream: events.stream)
      names.withLock { $0[key] = work.name }
      defer { names.withLock { $0[key] = nil } }
      do {
        await begun(order.allWarnings(model: host.name, generator.checkpoint))
        for try await happened in events {
          if let translated = try Self.event(
            await finish.finished(happened), work, generator)
          {
            try await event(translated)
          }
        }
      } catch {
        await events.cancel()
        throw error
      }
    }
  }

  private func upscaling(_ factor: Int?, of host: ModelHost) async throws -> Upscaling? {
    guard let factor else { return nil }
    var upscaling = try Upscaling(try await host.upscaler(), by: factor)
    upscaling.helpers = tileHelpers.withLock { $0 }?(host.name)
    return upscaling
  }

  /// What a generator tells, as files; nil for what nobody asked for.
  private static func event(
    _ event: GenerationEvent, _ work: ServiceOrder, _ generator: GeneratorPool
  ) throws -> ImageEvent? {
    let index = work.imageIndices[event.index]
    func picture(_ image: PixelImage, _ parameters: String?) throws -> ImageEvent.Picture {
      ImageEvent.Picture(
        index: index, width: image.width, height: image.height,
        file: try work.order.encoding.bytes(of: image, parameters: parameters))
    }
    switch event {
    case .stepped: return nil
    case .preview(_, let number, let image):
      return .preview(try picture(image, nil), number: number)
    case .finished(let made):
      return .finished(
        try picture(made.image, generator.parameters(of: made)), seed: made.request.seed)
    case .failed(_, let error): return .failed(index: index, error)
    }
  }
}

extension ServiceModel.Details {
  init(_ checkpoint: Checkpoint) {
    let defaults = checkpoint.defaults()
    let guidance = checkpoint.guidance(scale: defaults.guidanceScale)
    self.init(
      width: checkpoint.nativeSize.width, height: checkpoint.nativeSize.height,
      sizeMultiple: checkpoint.sizeMultiple, steps: defaults.stepCount,
      guidance: guidance.kind?.rawValue ?? "distilled", guidanceScale: defaults.guidanceScale,
      canEdit: checkpoint.hasEncoder,
      references: checkpoint.hasEncoder ? checkpoint.referenceLimit : 0,
      adapters: checkpoint.adapters.map {
        ServiceModel.Adapter(name: $0.name, kind: $0.kind.rawValue, presets: $0.presets)
      })
  }
}

extension ImageFinish {
  /// An event with its finished image larger; a failure of the image where that fails.
  fileprivate func finished(_ event: GenerationEvent) async throws -> GenerationEvent {
    guard case .finished(let image) = event, upscaling != nil else { return event }
    do { return .finished(try await upscaled(image)) } catch is CancellationError {
      throw CancellationError()
    } catch {
      return .failed(index: image.index, error)
    }
  }
}
