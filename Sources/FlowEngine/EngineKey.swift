internal import FlowGraph

/// Everything that can change what an engine computes: the graph, the identity of its weights, the
/// backend, the device, the options.
struct EngineKey: Hashable, Sendable {
  /// The graph's name.
  let name: String
  /// The whole key, for comparison.
  let bytes: [UInt8]

  private let hash: UInt64

  /// - Throws: `modelUnreadable` for a graph that cannot be serialized.
  init(of module: GraphModule, fingerprint: [String]) throws(EngineError) {
    let graph: [UInt8]
    do { graph = try module.onnx(locatingWeightsBy: .file) } catch {
      throw EngineError(code: .modelUnreadable, message: error.message)
    }
    let lines = ["StreamFlow engine 2"] + fingerprint + module.weightsIdentity
    name = module.name
    bytes = Array(lines.joined(separator: "\n").utf8) + graph
    hash = ContentHash.of(bytes).value
  }

  func hash(into hasher: inout Hasher) { hasher.combine(hash) }

  /// The name of the engine's file, without its suffix.
  var fileName: String {
    let safe = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    return "\(safe)-\(ContentHash.of(bytes))"
  }
}
