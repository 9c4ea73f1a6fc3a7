internal import FlowCore
internal import HTTPTypes
internal import Logging
internal import StreamFlow

/// The offered models, of which as many are in memory as the budget permits.
actor ModelShelf {
  nonisolated let hosts: [ModelHost]
  private let budget: Int?
  nonisolated let preparations: PreparationQueue
  private let acceptsOpenAINames: Bool

  init(_ options: ServerOptions, logger: Logger) {
    let preparations = PreparationQueue(limit: options.limits.waitingPreparationCount)
    self.preparations = preparations
    hosts = options.models.map {
      ModelHost(
        $0, options: options, preparations: preparations, logger: logger)
    }
    acceptsOpenAINames = options.acceptsOpenAINames
    budget = options.memoryByteCount ?? SystemMemory.availableByteCount.map { $0 / 2 }
  }

  /// The model with a name; the first one for nil, and for an OpenAI model name that no model has,
  /// unless ``ServerOptions/acceptsOpenAINames`` is off.
  nonisolated func host(_ name: String?) throws(ServerError) -> ModelHost {
    hosts[
      try ModelNames.index(
        of: name, among: hosts.map(\.name), acceptsOpenAINames: acceptsOpenAINames)]
  }

  /// Runs work while a model stays in memory.
  func using<Result: Sendable>(
    _ host: ModelHost, _ work: @Sendable (ModelHost) async throws -> Result
  ) async throws -> Result {
    await host.beginUse()
    do {
      let result = try await work(host)
      await host.endUse()
      return result
    } catch {
      await host.endUse()
      throw error
    }
  }

  /// The generator for a model and size; other models are evicted to make room for its engines.
  nonisolated func generator(_ size: PixelSize?, of host: ModelHost) async throws -> GeneratorPool {
    try await makeRoom(for: size, of: host)
    return try await host.generator(size)
  }

  /// Evicts the least recently used models until the rest fits.
  private func makeRoom(for size: PixelSize?, of kept: ModelHost) async throws {
    guard let budget else { return }
    let needed = try await kept.byteCount(with: size)
    var others: [(host: ModelHost, use: ContinuousClock.Instant)] = []
    var total = needed
    for host in hosts where host !== kept {
      total += await host.byteCount
      others.append((host, await host.lastUse))
    }
    for (host, _) in others.sorted(by: { $0.use < $1.use }) where total > budget {
      let bytes = await host.byteCount
      if await host.unload() { total -= bytes }
    }
  }

  /// Loads the first model; on failure, tries the others, one of which must be usable.
  ///
  /// Failures are only logged if the server continues; otherwise the caller reports them.
  ///
  /// - Throws: ``ModelsUnavailable`` if no model can be loaded.
  nonisolated func readFirst() async throws {
    var failures: [(host: ModelHost, error: any Error)] = []
    for host in hosts {
      try Task.checkCancellation()
      do {
        _ = try await host.read()
        break
      } catch is CancellationError { throw CancellationError() } catch {
        failures.append((host, error))
      }
    }
    guard let first = failures.first else { return }
    guard failures.count < hosts.count else {
      throw ModelsUnavailable(
        failures.map { ($0.host.name, "\($0.error)") }, cause: first.error)
    }
    for (host, error) in failures { await host.logFailure("\(error)") }
  }
}
