internal import FlowCore
internal import HTTPTypes
internal import Logging
internal import StreamFlow

/// The models that a server offers, of which as many are in memory as there is room for.
actor ModelShelf {
  nonisolated let hosts: [ModelHost]
  private let budget: Int?
  nonisolated let preparations: PreparationQueue
  private let acceptsOpenAINames: Bool

  /// What the names of OpenAI's image models begin with, which ready-made clients send.
  static let openAIPrefixes = ["chatgpt-image-", "dall-e-", "gpt-image-"]

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

  /// The model of a name; the first one where there is none, and for a name of OpenAI's that no
  /// model has, unless ``ServerOptions/acceptsOpenAINames`` is off.
  nonisolated func host(_ name: String?) throws(ServerError) -> ModelHost {
    guard let name else { return hosts[0] }
    guard let host = hosts.first(where: { $0.name == name }) else {
      if acceptsOpenAINames, Self.openAIPrefixes.contains(where: name.hasPrefix) { return hosts[0] }
      throw ServerError(
        .notFound, "model_not_found",
        "there is no model '\(name.prefix(80))'; this server has "
          + hosts.map(\.name).joined(separator: ", "), parameter: "model")
    }
    return host
  }

  /// Does some work with a model in memory, which stays there meanwhile.
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

  /// The generator of a model's images of a size; other models make room for its engines.
  nonisolated func generator(_ size: PixelSize?, of host: ModelHost) async throws -> Generator {
    try await makeRoom(for: size, of: host)
    return try await host.generator(size)
  }

  /// Lets go of the models that were used least of late, until the rest fits.
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

  /// Whether the first model is ready, or why it will not be.
  nonisolated func readiness() async -> ModelHost.State { await hosts[0].state }

  /// Reads the first model; where that fails, the others, of which one must be usable.
  ///
  /// Failures are logged only where the server goes on: otherwise the caller reports them.
  ///
  /// - Throws: ``ModelsUnavailable`` where no model can be read.
  nonisolated func readFirst() async throws {
    var failures: [(host: ModelHost, error: any Error)] = []
    for host in hosts {
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
