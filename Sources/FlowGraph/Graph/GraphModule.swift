/// A finished graph: its operators, its weights, and its ports.
///
/// A backend compiles it, from the operators themselves or from the ONNX format. Weights are not
/// copied: an initializer refers to bytes in a mapped file, or to an aligned copy if the file's
/// alignment does not suffice. Weights that an engine cannot read in their stored form, or is to
/// hold in fewer bits, are converted when the module is serialized. A module keeps its files
/// mapped, and must outlive engines that read weights in place.
///
/// ```swift
/// let graph = Graph(name: "double")
/// let input = graph.input("input", shape: [1, 4])
/// graph.output(try input + input, as: "output")
/// let module = GraphModule(graph, weightsIdentity: [])
/// ```
public struct GraphModule: Sendable {
  /// The graph's name.
  public let name: String
  /// The inputs, in order.
  public let inputs: [Port]
  /// The outputs, in order.
  public let outputs: [Port]
  /// The identity of the weights: one line for each file.
  public let weightsIdentity: [String]
  /// The bytes of the weights in the form that an engine reads.
  public let weightsByteCount: Int
  /// The floating-point operations per run in convolutions and matrix products, two for each
  /// multiply-add.
  public let operationCount: Int

  /// The operators in topological order.
  package let nodes: [Node]
  /// The tensors that the graph contains.
  package let constants: [Constant]
  /// The tensors in files.
  package let weights: [Weight]
  /// The tensors that are derived from weights when the graph is compiled.
  package let derived: [DerivedTensor]
  let copies = AlignedCopies()
  let derivedTensors = DerivedTensors()

  /// Finishes a graph.
  ///
  /// - Parameters:
  ///   - graph: the graph with its outputs named.
  ///   - weightsIdentity: the identity of the store of its weights.
  public init(_ graph: Graph, weightsIdentity: [String]) {
    name = graph.name
    inputs = graph.inputs
    outputs = graph.outputs
    nodes = graph.nodes
    constants = graph.constants
    weights = graph.weights
    derived = graph.derived
    weightsByteCount =
      weights.reduce(0) { $0 + $1.byteCount } + derived.reduce(0) { $0 + $1.byteCount }
    operationCount = graph.operationCount
    self.weightsIdentity = weightsIdentity
  }

  /// Releases the memory of weights that were read, once an engine has them.
  public func releasePages() {
    var released: Set<ObjectIdentifier> = []
    derivedTensors.releasePages()
    for weight in weights + derived.map(\.source)
    where released.insert(ObjectIdentifier(weight.file)).inserted {
      weight.file.releasePages()
    }
  }
}
