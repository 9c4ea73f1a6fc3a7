internal import FlowCore
internal import FlowGraph

/// The arithmetic of a graph's operators, looked up by the names that a runtime gives to kernels.
struct GraphWork {
  /// The arithmetic of one kernel.
  struct Entry {
    /// Floating-point operations, two for each multiply-add.
    let operationCount: Int
    /// The shapes: `3x3, 320 to 640 channels, 64x64`.
    let shapes: String
  }

  private let nodes: [Node]
  private let rows: Int
  /// The indices of the nodes by the names of their outputs.
  private let places: [String: Int]

  /// Operators that a runtime fuses into the product or convolution before them.
  private static let fused: Set<String> = [
    "Add", "Mul", "Sub", "Div", "Sigmoid", "Gelu", "Relu", "Tanh", "Erf", "Reshape", "Transpose",
    "Cast", "QuantizeLinear", "DequantizeLinear",
  ]

  /// - Parameters:
  ///   - module: the graph.
  ///   - rows: its batch rows.
  init(_ module: GraphModule, rows: Int = 1) {
    nodes = module.nodes
    self.rows = rows
    var places: [String: Int] = [:]
    for (place, node) in module.nodes.enumerated() {
      for output in node.outputs { places[output] = place }
    }
    self.places = places
  }

  /// The arithmetic of a kernel; nil for one that neither multiplies nor is an attention.
  ///
  /// A kernel has the name of the last operator that was fused into it, and OpenVINO's own suffixes.
  ///
  /// - Parameters:
  ///   - kernel: the kernel's name.
  ///   - multiplies: whether the runtime calls it a convolution or a product.
  ///   - isFused: whether the runtime calls it something that may be a whole attention.
  func entry(of kernel: String, multiplies: Bool, isFused: Bool) -> Entry? {
    let name = kernel.split(separator: "/").first.map(String.init) ?? kernel
    guard let place = places[name] else { return nil }
    if multiplies {
      let source = nodes[place].work != nil ? place : source(before: place)
      return source.flatMap { nodes[$0].work }.map { work in
        Entry(operationCount: work.operationCount, shapes: work.shapes)
      }
    }
    return isFused ? attention(endingAt: place) : nil
  }

  /// The two products of an attention.
  ///
  /// - Parameter place: its second product, or what reorders its result.
  private func attention(endingAt place: Int) -> Entry? {
    var place = place
    while nodes[place].work == nil {
      guard ["Transpose", "Reshape", "Cast"].contains(nodes[place].operation),
        let before = nodes[place].inputs.first.flatMap({ places[$0] })
      else { return nil }
      place = before
    }
    guard let work = nodes[place].work, let scores = scores(of: place),
      let other = nodes[scores].work
    else { return nil }
    let heads = work.productCount / rows
    return Entry(
      operationCount: work.operationCount + other.operationCount,
      shapes: "attention of \(work.left[-2]) to \(work.left[-1]) positions, "
        + "\(heads) heads of \(work.right[-1])")
  }

  /// The product of queries and keys whose soft-max is a product's first factor.
  private func scores(of product: Int) -> Int? {
    guard let first = nodes[product].inputs.first, let softmax = places[first],
      nodes[softmax].operation == "Softmax"
    else { return nil }
    return source(before: softmax)
  }

  /// The last product or convolution before a node with nothing but fused operators in between.
  private func source(before place: Int) -> Int? {
    nodes[place].inputs.compactMap { name in
      guard let input = places[name] else { return nil }
      if nodes[input].work != nil { return input }
      return Self.fused.contains(nodes[input].operation) ? source(before: input) : nil
    }.max()  // A residual connection leads to earlier ones too.
  }
}

extension Node.Work {
  /// The number of products, as in an attention of several heads.
  var productCount: Int { left.elementCount / (left[-2] * left[-1]) }

  /// The shapes of the factors: `3x3, 320 to 640 channels, 64x64` or `4096x320 by 320x320`.
  var shapes: String {
    func sides(_ shape: Shape) -> String { "\(shape[-2])x\(shape[-1])" }
    guard !isConvolution else {
      return "\(sides(right)), \(left[1]) to \(right[0]) channels, \(sides(left))"
    }
    return "\(sides(left)) by \(sides(right))" + (productCount > 1 ? ", \(productCount) times" : "")
  }
}
