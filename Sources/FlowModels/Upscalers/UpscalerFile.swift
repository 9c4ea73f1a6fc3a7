internal import FlowCore
package import FlowGraph
internal import Foundation

/// A file that contains an upscaler, recognized by the names of its tensors.
package struct UpscalerFile: Sendable {
  /// The supported contents, for error messages.
  static let kinds =
    "the weights of SRVGGNetCompact (body.0.weight, body.1.weight ...) or RRDBNet "
    + "(conv_first.weight, body.0.rdb1.conv1.weight ..., or model.0.weight, "
    + "model.1.sub.0.RDB1.conv1.0.weight ...)"

  /// Prefixes of the names in some files, the preferred one first.
  private static let prefixes = ["params_ema.", "params."]

  /// The maximum number of layers and channels of a network.
  private static let limit = 1024

  package let path: String
  package let configuration: UpscalerConfiguration
  /// The weights in BasicSR's names.
  package let weights: WeightStore

  /// The file's name without its extension.
  package var name: String { URL(filePath: path).deletingPathExtension().lastPathComponent }

  /// The network, for building graphs.
  package var network: UpscalerNetwork {
    UpscalerNetwork(configuration: configuration, weights: weights.root)
  }

  /// A hash of the weights' names and values, the same for every copy of the file.
  ///
  /// - Throws: a `GraphError` for weights that cannot be read.
  package func contentHash() throws(GraphError) -> ContentHash {
    var hashes: [UInt8] = []
    for (name, weight) in weights.weights.sorted(by: { $0.key < $1.key }) {
      let values = try weight.floats()
      hashes += Array("\(name) \(unsafe ContentHash.of(values.span.bytes))\n".utf8)
    }
    return ContentHash.of(hashes)
  }

  /// Maps a file.
  ///
  /// Names may have the prefix `params_ema.`, which is preferred, or `params.`.
  ///
  /// - Throws: `unsupported` if it contains no known upscaler, `fileInvalid` if it is incomplete; a
  ///   `GraphError` if it is not a safetensors file.
  package init(path: String) throws {
    self.path = path
    let stored = try WeightStore(file: path)
    let prefix = Self.prefixes.first { prefix in
      stored.weights.keys.contains { $0.hasPrefix(prefix) }
    }
    let store = prefix.map { prefix in
      stored.renamed { name in
        if name.hasPrefix(prefix) { return String(name.dropFirst(prefix.count)) }
        // Besides the average of the weights the file may contain the last ones of the training.
        return Self.prefixes.contains(where: name.hasPrefix) ? nil : name
      }
    }
    (configuration, weights) = try Self.network(of: store ?? stored, path: path)
  }

  /// An interpolation of this network and another with the same layers.
  ///
  /// - Parameters:
  ///   - other: the other network.
  ///   - fraction: the weight of the other network, 0 to 1.
  package func interpolated(with other: UpscalerFile, fraction: Float) throws -> UpscalerFile {
    guard (0...1).contains(fraction) else {
      throw ModelError(
        code: .requestInvalid, message: "the fraction of an upscaler is 0 to 1, got \(fraction)")
    }
    guard configuration == other.configuration else {
      throw ModelError(
        code: .requestInvalid,
        message: "'\(path)' and '\(other.path)' have different layers; only networks of the same "
          + "layers can be interpolated")
    }
    return UpscalerFile(
      path: path, configuration: configuration,
      weights: try weights.interpolated(with: other.weights, fraction: fraction))
  }

  private init(path: String, configuration: UpscalerConfiguration, weights: WeightStore) {
    (self.path, self.configuration, self.weights) = (path, configuration, weights)
  }

  private static func network(
    of store: WeightStore, path: String
  ) throws -> (UpscalerConfiguration, WeightStore) {
    let last = UpscalerNames.lastLayer(of: store.weights.keys)
    let dense = store.renamed { UpscalerNames.canonical($0, last: last) }
    let configuration: UpscalerConfiguration
    let named: WeightStore
    if let first = dense.shapes["conv_first.weight"],
      let growth = dense.shapes["body.0.rdb1.conv1.weight"]
    {
      configuration = .init(.dense(try rrdbNet(dense, first, growth, path: path)))
      guard dense.weights.count == store.weights.count else {
        let unknown = store.weights.keys.filter {
          UpscalerNames.canonical($0, last: last) == nil
        }
        throw invalid(
          path,
          unknown.min().map { "has '\($0)', which is not part of an RRDBNet" }
            ?? "has one layer under two names")
      }
      named = dense
    } else if let first = store.shapes["body.0.weight"], store.shapes["body.1.weight"] != nil {
      configuration = .init(.compact(try srvggNet(store, first, path: path)))
      named = store
    } else {
      let example = store.weights.keys.min().map { ", such as '\($0)'" } ?? ""
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' contains no known upscaler (\(store.weights.count) "
          + "tensors\(example)); expected \(kinds)")
    }
    try check(named.shapes, against: configuration, path: path)
    return (configuration, named)
  }

  private static func srvggNet(
    _ store: WeightStore, _ first: Shape, path: String
  ) throws -> SRVGGNetConfiguration {
    let numbers = store.weights.keys.compactMap { SingleFile.number(in: $0, after: "body.") }
    let last = numbers.max() ?? 0
    guard let output = store.shapes["body.\(last).bias"], output.rank == 1,
      let factor = (1...8).first(where: { 3 * $0 * $0 == output[0] }), first.rank == 4,
      (1...limit).contains(first[0]), last.isMultiple(of: 2), last <= 2 * limit
    else {
      throw invalid(
        path, "does not end in a convolution of 3 * factor * factor channels (body.\(last))")
    }
    return SRVGGNetConfiguration(
      features: first[0], convolutionCount: last / 2 + 1, factor: factor)
  }

  private static func rrdbNet(
    _ store: WeightStore, _ first: Shape, _ growth: Shape, path: String
  ) throws -> RRDBNetConfiguration {
    let names = store.weights.keys
    let blocks = names.compactMap { SingleFile.number(in: $0, after: "body.") }.max() ?? 0
    let doublings = names.compactMap { SingleFile.number(in: $0, after: "conv_up") }.max() ?? 0
    guard first.rank == 4, growth.rank == 4, (1...limit).contains(first[0]),
      (1...limit).contains(growth[0]), blocks < limit,
      let unshuffling = [1, 2, 4].first(where: { 3 * $0 * $0 == first[1] })
    else {
      throw invalid(
        path,
        "begins with convolutions of \(first) and \(growth); expected one that reads 3, 12 or "
          + "48 channels")
    }
    let configuration = RRDBNetConfiguration(
      features: first[0], growth: growth[0], blockCount: blocks + 1, doublings: doublings,
      unshuffling: unshuffling)
    guard (0...3).contains(doublings), configuration.factor > 1 else {
      throw invalid(
        path,
        "doubles an image \(doublings) times after making it \(unshuffling) times smaller; "
          + "expected one that makes images larger, by 3 doublings at most")
    }
    return configuration
  }

  /// Checks that all weights are present, with the right shapes, and no others.
  private static func check(
    _ found: [String: Shape], against configuration: UpscalerConfiguration, path: String
  ) throws(ModelError) {
    let expected = configuration.shapes
    let name = configuration.className
    if let missing = expected.keys.filter({ found[$0] == nil }).min() {
      throw invalid(path, "has no '\(missing)', which a \(name) of its size has")
    }
    if let unknown = found.keys.filter({ expected[$0] == nil }).min() {
      throw invalid(path, "has '\(unknown)', which is not part of a \(name) of its size")
    }
    for (tensor, shape) in expected.sorted(by: { $0.key < $1.key }) where found[tensor] != shape {
      throw invalid(path, "has '\(tensor)' of \(found[tensor] ?? []), expected \(shape)")
    }
  }

  private static func invalid(_ path: String, _ problem: String) -> ModelError {
    ModelError(
      code: .fileInvalid,
      message: "'\(path)' \(problem); choose another upscaler, or download it again")
  }
}
