import FlowCore
import FlowEngine
import FlowGraph
import Testing

@testable import StreamFlow

/// The arithmetic of kernels, by the names that OpenVINO gives them.
@Suite struct KernelProfileTests {
  /// An attention of 64 positions in 4 heads of 8, whose result is added to its input.
  private func attention() throws -> GraphModule {
    let graph = Graph(name: "attention")
    let input = graph.input("input", shape: [1, 64, 32])
    let attended = try input.attention(key: input, value: input, heads: 4)
    graph.output(try attended + input, as: "output")
    return GraphModule(graph, weightsIdentity: [])
  }

  @Test("An attention in one kernel counts both of its products, in whatever order it writes")
  func fusedAttention() throws {
    let module = try attention()
    let work = GraphWork(module)
    let product = try #require(module.nodes.lastIndex { $0.work != nil })
    let after = module.nodes[(product + 1)...].prefix { $0.operation != "Add" }
    #expect(!after.isEmpty)
    for node in [module.nodes[product]] + after {
      let entry = try #require(work.entry(of: node.outputs[0], multiplies: false, isFused: true))
      #expect(entry.shapes == "attention of 64 to 64 positions, 4 heads of 8")
      #expect(entry.operationCount == module.operationCount)
    }
  }

  @Test(
    "A product is found by its own name, with OpenVINO's suffixes, and by what is fused into it")
  func products() throws {
    let module = try attention()
    let work = GraphWork(module)
    let node = try #require(module.nodes.first { $0.work != nil })
    let add = try #require(module.nodes.last { $0.operation == "Add" })
    for name in [node.outputs[0], "\(node.outputs[0])/WithoutBiases"] {
      let entry = try #require(work.entry(of: name, multiplies: true, isFused: false))
      #expect(entry.shapes == "64x8 by 8x64, 4 times")
      #expect(entry.operationCount == 2 * 4 * 64 * 64 * 8)
    }
    #expect(
      work.entry(of: add.outputs[0], multiplies: true, isFused: false)?.shapes
        == "64x64 by 64x8, 4 times")
    // What moves or adds numbers has no arithmetic of this kind.
    #expect(work.entry(of: add.outputs[0], multiplies: false, isFused: true) == nil)
    #expect(
      work.entry(of: "\(node.outputs[0])/Reorder", multiplies: false, isFused: false) == nil)
    #expect(work.entry(of: "elsewhere", multiplies: true, isFused: false) == nil)
  }

  @Test("The times of the first runs are taken out of the means of all")
  func measured() {
    func kernel(_ time: Int) -> KernelTime {
      KernelTime(node: "a", operation: "MatMul", implementation: "x", time: .microseconds(time))
    }
    // Two runs of 100, three of 50: 70 on the average.
    #expect(
      KernelProfile.measured([kernel(70)], after: [kernel(100)]).map(\.time) == [.microseconds(50)])
    #expect(
      KernelProfile.measured([kernel(30)], after: []).map(\.time) == [.microseconds(50)])
  }

  @Test("Kernels of the same operator, implementation and shapes are one group, the longest first")
  func groups() throws {
    let module = try attention()
    let names = module.nodes.filter { $0.work != nil }.map(\.outputs[0])
    let groups = KernelProfile.groups(
      [
        KernelTime(
          node: names[0], operation: "MatMul", implementation: "a", time: .milliseconds(2)),
        KernelTime(
          node: "elsewhere", operation: "Reorder", implementation: "b", time: .milliseconds(3)),
        KernelTime(
          node: names[0], operation: "MatMul", implementation: "a", time: .milliseconds(2)),
      ], GraphWork(module))
    #expect(groups.map(\.operation) == ["MatMul", "Reorder"] && groups.map(\.count) == [2, 1])
    #expect(abs(groups[0].seconds - 0.004) < 1e-9 && groups[1].operationCount == 0)
    #expect(groups[0].operationCount == 2 * 2 * 4 * 64 * 64 * 8)
  }
}
