import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

@Suite(.tags(.engine)) struct EngineCatalogueTests {
  private let provider = EngineProvider(.fresh())

  /// Programs of a graph that does next to nothing, named by their rows and chunks.
  private func catalogue(weightsByteCount: Int) -> EngineCatalogue {
    EngineCatalogue(
      capacity: 6, weightsByteCount: weightsByteCount, provider: provider
    ) { rows, structure in
      let graph = Graph(name: "\(rows)x\(structure.chunks)")
      graph.output(try graph.input("input", shape: [rows, structure.chunks]).silu(), as: "output")
      return GraphModule(graph, weightsIdentity: [])
    }
  }

  private func given() -> EngineCatalogue {
    EngineCatalogue(
      capacity: 64, weightsByteCount: 1, growth: .given, provider: provider
    ) { _, _ in preconditionFailure("nothing is made") }
  }

  @Test("Programs go by rows and chunks; what was made serves fewer rows, and no other chunks")
  func small() async throws {
    let catalogue = catalogue(weightsByteCount: 1)
    for (rows, chunks) in [(3, 1), (2, 1), (3, 2), (6, 2), (1, 2), (4, 1), (10, 1)] {
      try await catalogue.prepare(rows, structure: NetworkStructure(chunks: chunks))
      for part in catalogue.parts(for: rows, structure: NetworkStructure(chunks: chunks)) {
        #expect(part.engine.rows >= part.rows.count && part.engine.structure.chunks == chunks)
      }
    }
    #expect(provider.log.made.map(\.name) == ["4x1", "4x2", "6x2", "6x1"])
  }

  @Test("Engines that are given are used as they are, in the parts that take the least time")
  func parts() throws {
    let given = given()
    // Work alone decides before anything has run: a third row of an engine of 8 is wasted work.
    for rows in [8, 1, 3] { given.add(try Self.engine(rows: rows)) }
    func split(_ count: Int) -> [[Int]] {
      given.parts(for: count).map { [$0.engine.rows, $0.rows.lowerBound, $0.rows.upperBound] }
    }
    #expect(split(1) == [[1, 0, 1]])
    #expect(split(3) == [[3, 0, 3]])
    #expect(split(8) == [[8, 0, 8]])
    for count in 1...30 {
      let parts = split(count)
      #expect(parts.reduce(0) { $0 + $1[2] - $1[1] } == count)
      #expect(parts.first?[1] == 0 && parts.last?[2] == count)
      #expect(zip(parts, parts.dropFirst()).allSatisfy { $0[2] == $1[1] })
      #expect(parts.allSatisfy { $0[2] - $0[1] <= $0[0] })
      // No extra row is computed, since the sizes add up to every count.
      #expect(parts.allSatisfy { $0[2] - $0[1] == $0[0] }, "\(parts)")
    }
  }

  @Test("One engine that is given runs any number of rows in parts, the last perhaps not full")
  func single() throws {
    let given = given()
    given.add(try Self.engine(rows: 4))
    #expect(given.parts(for: 9).map(\.rows) == [0..<4, 4..<8, 8..<9])
    #expect(!given.hasEngine(NetworkStructure(chunks: 2)) && given.hasEngine(NetworkStructure()))
  }

  private static func engine(rows: Int) throws -> RowEngine {
    let graph = Graph(name: "product_\(rows)")
    let input = graph.input("input", shape: [rows, 256, 256])
    graph.output(try input.matrixProduct(input), as: "output")
    let session = try Program.compiled(GraphModule(graph, weightsIdentity: []))
    return RowEngine(session, rows: rows, structure: NetworkStructure())
  }

  @Test("Of a large network there is one program at a time")
  func large() async throws {
    let catalogue = catalogue(weightsByteCount: 256 << 20)
    try await catalogue.prepare(3)
    weak let first = catalogue.parts(for: 3)[0].engine
    #expect(first != nil && catalogue.parts(for: 1)[0].engine === first)
    try await catalogue.prepare(1)
    #expect(first != nil)
    try await catalogue.prepare(1, structure: NetworkStructure(chunks: 2))
    #expect(first == nil)
    #expect(provider.log.made.map(\.name) == ["4x1", "1x2"])
    #expect(provider.log.present.map(\.name) == ["1x2"])
  }
}
