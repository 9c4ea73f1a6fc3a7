import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowEngine
@testable import FlowONNXRuntime

/// The memory and the processor time that sessions take, each in a process of its own.
@Suite(
  .tags(.engine, .process),
  .enabled(if: TestBackend.onnxRuntime.isThere, "ONNX Runtime is not set up"))
struct ResourceTests {
  #if os(Linux)
    /// The megabytes of this process's memory that no file stands behind.
    private static func anonymousMegabytes() throws -> Int {
      let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
      return try #require(Int(line.split(separator: " ").dropFirst().first ?? "")) / 1024
    }

    /// A file with one tensor of 64 MB, `[16384, 1024]`.
    private static func largeStore(in folder: TemporaryFolder) throws -> WeightStore {
      let path = "\(folder.path)/large.safetensors"
      let header =
        #"{"table.weight":{"dtype":"F32","shape":[16384,1024],"data_offsets":[0,67108864]}}"#
      let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
      let length = (0..<8).map { UInt8(truncatingIfNeeded: padded.utf8.count >> ($0 * 8)) }
      try Data(length + Array(padded.utf8)).write(to: URL(filePath: path))
      let file = try #require(FileHandle(forWritingAtPath: path))
      try file.seekToEnd()
      for row in 0..<16384 {
        let bits = Float(row).bitPattern
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
        try file.write(contentsOf: Data((0..<1024).flatMap { _ in bytes }))
      }
      try file.close()
      return try WeightStore(file: path)
    }

    @Test("A weight of 64 MB that is read in place is not copied")
    func memory() async throws {
      await #expect(processExitsWith: .success) {
        let folder = try TemporaryFolder()
        let store = try Self.largeStore(in: folder)
        let backend = ONNXRuntimeBackend(cacheFolder: nil)
        let device = Device(backend: "onnxruntime", name: "CPU")
        func compiled(_ graph: Graph) throws -> Program {
          try Program(
            compiling: GraphModule(graph, weightsIdentity: store.identity), with: backend,
            on: device, EngineOptions(threadCount: 1))
        }
        // What the library takes for itself is there before.
        let small = Graph(name: "small")
        small.output(small.input("x", shape: [1]).relu(), as: "y")
        try compiled(small).run()

        let graph = Graph(name: "rows")
        let rows = graph.input("rows", shape: [3], type: .int64)
        graph.output(try rows.embedding(store.root["table"]), as: "y")
        let before = try Self.anonymousMegabytes()
        let program = try compiled(graph)
        program.withInput(0, as: Int64.self) { ($0[0], $0[1], $0[2]) = (5, 16383, 0) }
        try program.run()
        let read = program.read(0, as: Float.self) { [$0[0], $0[1024], $0[2048]] }
        let growth = try Self.anonymousMegabytes() - before
        guard read == [5, 16383, 0] else { Foundation.exit(2) }
        guard growth < 8 else { Foundation.exit(Int32(growth)) }
      }
    }
  #endif

  @Test("Threads sleep between runs")
  func idle() async throws {
    await #expect(processExitsWith: .success) {
      let graph = Graph(name: "work")
      var value = graph.input("x", shape: [256, 256])
      for _ in 0..<4 { value = try value.matrixProduct(value) * 0.01 }
      graph.output(value, as: "y")
      let program = try Program(
        compiling: GraphModule(graph, weightsIdentity: []),
        with: ONNXRuntimeBackend(cacheFolder: nil),
        on: Device(backend: "onnxruntime", name: "CPU"), EngineOptions(threadCount: 4))
      for _ in 0..<3 { try program.run() }
      var seconds = 0.0
      for _ in 0..<10 {
        try program.run()
        let start = clock()
        try await Task.sleep(for: .milliseconds(50))
        seconds += Double(clock() - start) / Double(CLOCKS_PER_SEC)
      }
      // Threads that look out for work would take 0.2 seconds and more.
      guard seconds < 0.1 else { Foundation.exit(Int32(min(seconds * 100, 100))) }
    }
  }

  @Test("A process ends with its own status while another thread compiles")
  func exit() async throws {
    await #expect(processExitsWith: .exitCode(7)) {
      for thread in 0..<3 {
        Thread.detachNewThread { while (try? Self.compileSomething(thread)) != nil {} }
      }
      try Self.compileSomething(3)
      try await Task.sleep(for: .milliseconds(200))
      Foundation.exit(7)
    }
  }

  private static func compileSomething(_ number: Int) throws {
    let graph = Graph(name: "something\(number)")
    var value = graph.input("x", shape: [1, 64])
    for layer in 0..<40 {
      let weight = (0..<64 * 64).map { Float(($0 + layer) % 7) / 7 }
      value = try value.matrixProduct(graph.constant(weight, shape: [64, 64])).sigmoid()
    }
    graph.output(value, as: "y")
    try Program.compiled(GraphModule(graph, weightsIdentity: []), on: .onnxRuntime).run()
  }
}
