import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Testing

@testable import StreamFlow

@Suite struct EngineCatalogueTests {
  /// Engines of a graph that does next to nothing, named by their rows and chunks.
  private static func catalogue(weightsByteCount: Int) -> EngineCatalogue {
    EngineCatalogue(capacity: 6, weightsByteCount: weightsByteCount) { rows, chunks in
      let graph = Graph(name: "\(rows)x\(chunks)")
      graph.output(try graph.input("input", shape: [rows, chunks]).silu(), as: "output")
      return try Session(
        ONNXModel(graph, weightsIdentity: []), configuration: EngineConfiguration())
    }
  }

  @Test("Engines go by rows and chunks; what was made serves fewer rows, and no other chunks")
  func small() throws {
    let catalogue = Self.catalogue(weightsByteCount: 1)
    for (rows, chunks) in [(3, 1), (2, 1), (3, 2), (6, 2), (1, 2), (4, 1)] {
      let engine = try catalogue.engine(for: rows, chunks: chunks)
      #expect(engine.rows >= rows && engine.chunks == chunks)
    }
    #expect(catalogue.made.map(\.name) == ["4x1", "4x2", "6x2"])
  }

  @Test("Of a large network there is one engine at a time")
  func large() throws {
    let catalogue = Self.catalogue(weightsByteCount: 256 << 20)
    weak var first: RowEngine?
    do {
      let engine = try catalogue.engine(for: 3)
      first = engine
      #expect(try catalogue.engine(for: 1) === engine)
    }
    #expect(first != nil)
    _ = try catalogue.engine(for: 1, chunks: 2)
    #expect(first == nil)
    #expect(catalogue.made.map(\.name) == ["4x1", "1x2"])
  }
}
