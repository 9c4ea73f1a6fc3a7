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
    capacity: 1 << 30, countLimit: 16)
  /// The sets of the requests that are admitted next.
  private var prepared: [Images: Result<ContiguousArray<Float>, any Error>] = [:]
  /// The program of the sizes that were used last, unless its weights are large.
  private var held: (sizes: [LatentSize], program: Program)?

  /// The bytes of weights above which a program is released once it has run: the network has them
  /// too.
  private static let heldByteCount = 512 << 20

  init(_ checkpoint: Checkpoint, provider: EngineProvider) {
    self.checkpoint = checkpoint
    self.provider = provider
  }

  /// Computes the new tables of some sets; one that cannot be computed is an error of
  /// ``table(of:)``.
  func prepare(
    _ sets: [Images: [Image]], isolation: isolated (any Actor)? = #isolation
  ) async throws(CancellationError) {
    prepared = prepared.filter { sets.keys.contains($0.key) }
    for (key, images) in sets where prepared[key] == nil {
      if let table = known[key] {
        prepared[key] = .success(table)
        continue
      }
      do {
        let table = try await compute(images)
        known.insert(
          table, for: key,
          byteCount: 4 * table.count + key.reduce(0) { $0 + $1.image.pixels.count })
        prepared[key] = .success(table)
      } catch let error as CancellationError { throw error } catch {
        prepared[key] = .failure(error)
      }
    }
  }

  /// Whether the table of a set is computed, or has failed to be.
  func isReady(for set: Images) -> Bool { prepared[set] != nil }

  /// The table of a set.
  ///
  /// - Throws: the error of computing it.
  /// - Precondition: ``isReady(for:)``.
  func table(of set: Images) throws -> ContiguousArray<Float> {
    guard let table = try prepared[set]?.get() else {
      preconditionFailure("the table of the reference images was not computed")
    }
    return table
  }

  private func compute(
    _ images: [Image], isolation: isolated (any Actor)? = #isolation
  ) async throws -> ContiguousArray<Float> {
    let (sizes, family) = (images.map(\.size), checkpoint.family)
    let program = try await program(of: sizes)
    for (index, image) in images.enumerated() {
      program.write(family.referenceInput(index), image.latents.span)
    }
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
    if weights.byteCount <= Self.heldByteCount { held = (sizes, program) }
    return program
  }
}
