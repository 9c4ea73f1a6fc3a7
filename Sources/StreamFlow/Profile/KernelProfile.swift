package import FlowCore
package import FlowEngine
internal import FlowGraph
package import FlowModels

/// The kernels of a model's network or decoder, with their times as the runtime measures them.
package struct KernelProfile: Codable, Sendable {
  /// The kernels with the same operator, implementation and shapes.
  package struct Group: Codable, Sendable {
    /// The kind of operator, by the runtime's name: `Convolution`.
    package let operation: String
    /// The runtime's name of the implementation: `brgconv_avx512_amx_BF16`.
    package let implementation: String
    /// The shapes of what is multiplied, empty if nothing is: `3x3, 320 to 640 channels, 64x64`.
    package let shapes: String
    /// The number of kernels.
    package fileprivate(set) var count = 0
    /// The seconds of a run.
    package fileprivate(set) var seconds = 0.0
    /// The floating-point operations of a run, two for each multiply-add.
    package fileprivate(set) var operationCount = 0
  }

  /// A part of a model.
  package enum Part: String, CaseIterable, Sendable {
    case network, decoder
  }

  /// `network` or `decoder`.
  package let part: String
  /// The number of batch rows.
  package let rows: Int
  /// The seconds of a run.
  package let seconds: Double
  /// The kernels, those with the most time first.
  package let groups: [Group]

  /// Measures the mean of some runs, after two for warming up.
  ///
  /// The inputs are random numbers: the time does not depend on them.
  ///
  /// - Parameters:
  ///   - part: the part of the model.
  ///   - checkpoint: the model.
  ///   - size: the size of the image in pixels.
  ///   - rows: the number of batch rows.
  ///   - engines: engines that record the times of kernels, without a cache.
  /// - Throws: errors of graphs and engines.
  package static func measure(
    _ part: Part, of checkpoint: Checkpoint, size: PixelSize, rows: Int, engines: EngineStore
  ) async throws -> KernelProfile {
    let factor = checkpoint.autoencoder.factor
    let (height, width) = (size.height / factor, size.width / factor)
    let module: GraphModule
    switch part {
    case .network:
      module = try NetworkBlueprint(
        checkpoint, height: height, width: width, provider: EngineProvider(engines)
      ).module(rows: rows, structure: NetworkStructure())
    case .decoder:
      let weights = checkpoint.autoencoderWeights
      module = GraphModule(
        try Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
          .decoderGraph(rows: rows, height: height, width: width),
        weightsIdentity: weights.identity)
    }
    let program = try await engines.program(for: module)
    var noise = GaussianNoise(seed: 1)
    for port in program.inputs where port.type == .float32 {
      let values = noise.latents(shape: port.shape)
      program.write(port.name, values.scalars.span)
    }
    for _ in 0..<warmUpCount { try program.run() }
    let before = try program.kernelTimes()
    var time = Duration.zero
    for _ in 0..<runCount { time += try program.run() }
    return KernelProfile(
      part: part.rawValue, rows: rows, seconds: time / .seconds(1) / Double(runCount),
      groups: groups(
        measured(try program.kernelTimes(), after: before), GraphWork(module, rows: rows)))
  }

  private static let (warmUpCount, runCount) = (2, 3)

  /// The means of the measured runs alone, from the means of all runs.
  static func measured(_ all: [KernelTime], after warmUp: [KernelTime]) -> [KernelTime] {
    let before = Dictionary(warmUp.map { ($0.node, $0.time) }) { first, _ in first }
    return all.map { kernel in
      let whole: Duration = kernel.time * (warmUpCount + runCount)
      let start: Duration = (before[kernel.node] ?? .zero) * warmUpCount
      return KernelTime(
        node: kernel.node, operation: kernel.operation, implementation: kernel.implementation,
        time: max((whole - start) / runCount, .zero))
    }
  }

  /// The runtime's names of convolutions and products.
  private static let products: Set<String> = ["Convolution", "FullyConnected", "MatMul", "Gemm"]

  /// The runtime's names of what may be a whole attention.
  private static let fused: Set<String> = ["Subgraph", "MHA", "ScaledDotProductAttention"]

  /// Collects kernels by operator, implementation and shapes.
  static func groups(_ kernels: [KernelTime], _ work: GraphWork) -> [Group] {
    var groups: [String: Group] = [:]
    for kernel in kernels {
      let work = work.entry(
        of: kernel.node, multiplies: Self.products.contains(kernel.operation),
        isFused: Self.fused.contains(kernel.operation))
      let shapes = work?.shapes ?? ""
      let key = "\(kernel.operation)\n\(kernel.implementation)\n\(shapes)"
      var group =
        groups[key]
        ?? Group(
          operation: kernel.operation, implementation: kernel.implementation, shapes: shapes)
      group.count += 1
      group.seconds += kernel.time / .seconds(1)
      group.operationCount += work?.operationCount ?? 0
      groups[key] = group
    }
    return groups.values.sorted {
      ($1.seconds, $0.operation, $0.shapes) < ($0.seconds, $1.operation, $1.shapes)
    }
  }
}
