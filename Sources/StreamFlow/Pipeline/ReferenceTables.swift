internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The keys and values of sets of reference images, for a network that reads them in place of the
/// images' latents (``ModelFamily/readsReferenceTable``): computed once for each set, whatever the
/// number of steps.
final class ReferenceTables {
  typealias Images = [ReferenceEncoder.Key]

  /// The encoded latents of an image.
  struct Image {
    let size: LatentSize
    let latents: ContiguousArray<Float>
  }

  private let checkpoint: Checkpoint
  private let provider: EngineProvider
  private var known = ByteBoundedCache<Images, ContiguousArray<Float>>(
    capacity: 512 << 20, countLimit: 16)
  /// The set of the request that is admitted next: a table may take gigabytes.
  private var next: (images: Images, table: Result<ContiguousArray<Float>, any Error>)?
  /// The program of the sizes that were used last, unless the network is large.
  private var held: (sizes: [LatentSize], program: Program)?

  init(_ checkpoint: Checkpoint, provider: EngineProvider) {
    self.checkpoint = checkpoint
    self.provider = provider
  }

  /// Computes the table of the set that is read next; a failure is an error of ``table(of:)``.
  ///
  /// - Parameters:
  ///   - set: the images.
  ///   - images: their latents.
  ///   - before: called before the table is computed, unless it is known; its error is the table's.
  func prepare(
    _ set: Images, of images: [Image], isolation: isolated (any Actor)? = #isolation,
    before: () async throws -> Void
  ) async throws(CancellationError) {
    guard next?.images != set else { return }
    next = nil
    if let table = known[set] {
      next = (set, .success(table))
      return
    }
    do {
      try await before()
      let table = try await compute(images)
      known.insert(
        table, for: set,
        byteCount: 4 * table.count + set.reduce(0) { $0 + $1.image.pixels.count })
      next = (set, .success(table))
    } catch let error as CancellationError { throw error } catch {
      next = (set, .failure(error))
    }
  }

  /// Whether the table of a set is computed, or has failed to be.
  func isReady(for set: Images) -> Bool { next?.images == set }

  /// The table of a set.
  ///
  /// - Throws: the error of computing it; the next request for it tries again.
  /// - Precondition: ``isReady(for:)``.
  func table(of set: Images) throws -> ContiguousArray<Float> {
    guard let found = next, found.images == set else {
      preconditionFailure("the table of the reference images was not computed")
    }
    if case .failure = found.table { next = nil }
    return try found.table.get()
  }

  /// Releases what is held for a request that waits.
  func forget() { next = nil }

  private func compute(
    _ images: [Image], isolation: isolated (any Actor)? = #isolation
  ) async throws -> ContiguousArray<Float> {
    let (sizes, family) = (images.map(\.size), checkpoint.family)
    let program = try await program(of: sizes)
    for (index, image) in images.enumerated() {
      program.write(family.referenceInput(index), image.latents.span)
    }
    program.write("timestep", ContiguousArray<Float>([0]).span)
    try program.run()
    return program.read(family.referenceTableInput, as: Float.self) { table in
      var copy = ContiguousArray<Float>()
      copy.reserveCapacity(table.count)
      for index in table.indices { copy.append(table[index]) }
      return copy
    }
  }

  private func program(
    of sizes: [LatentSize], isolation: isolated (any Actor)? = #isolation
  ) async throws -> Program {
    if let held, held.sizes == sizes { return held.program }
    held = nil
    let weights = checkpoint.networkWeights
    let graph = try checkpoint.family.referenceTable(of: sizes, weights: weights.root)
    let program = try await provider.program(
      for: GraphModule(graph, weightsIdentity: weights.identity))
    if weights.byteCount < EngineCatalogue.largeByteCount {
      held = (sizes, program)
    } else {
      // A large engine that is not persisted yet would be held for that.
      await provider.store.persist()
    }
    return program
  }
}
