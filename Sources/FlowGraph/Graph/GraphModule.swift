/// A finished graph: its operators, its weights, and the ports by which it is run.
///
/// A backend compiles it, from the operators themselves or from the ONNX format. Weights are not
/// copied: an initializer names the place of its bytes in a mapped file, or of an aligned copy where
/// the file holds them off their alignment. What an engine cannot read as the file has it, or is to
/// hold in fewer bits, is made when the module is written down. A module keeps those files mapped, and must outlive what
/// is compiled from it by an engine that reads weights in place.
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
  /// What it takes, in order.
  public let inputs: [Port]
  /// What it gives, in order.
  public let outputs: [Port]
  /// What tells its weights from any other: one line for each file.
  public let weightsIdentity: [String]
  /// The bytes of its weights as an engine reads them.
  public let weightsByteCount: Int
  /// The floating-point operations of the convolutions and matrix products of a run, two for each
  /// product that is summed.
  public let operationCount: Int

  /// The operators, each after those whose outputs it reads.
  package let nodes: [Node]
  /// The tensors that the graph carries in itself.
  package let constants: [Constant]
  /// The tensors that lie in files.
  package let weights: [Weight]
  /// The tensors that are made of such when the graph is compiled.
  package let derived: [DerivedTensor]
  let copies = AlignedCopies()
  let derivedTensors = DerivedTensors()

  /// Finishes a graph.
  ///
  /// - Parameters:
  ///   - graph: the graph with its outputs named.
  ///   - weightsIdentity: the identity of the store that its weights come from.
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

  /// Gives back the memory that reading the weights has taken, once an engine has them.
  public func releasePages() {
    var released: Set<ObjectIdentifier> = []
    derivedTensors.releasePages()
    for weight in weights + derived.map(\.source)
    where released.insert(ObjectIdentifier(weight.file)).inserted {
      weight.file.releasePages()
    }
  }
}
