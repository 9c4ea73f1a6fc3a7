import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Synchronization
import Testing

@testable import FlowEngine

/// The store, on a backend in plain Swift: no runtime is needed.
@Suite struct EngineStoreTests {
  /// `y = (x + number) * x`.
  private static func module(_ number: Float = 1, name: String = "small") throws -> GraphModule {
    let graph = Graph(name: name)
    let x = graph.input("x", shape: [2, 3])
    graph.output(try (x + number) * x, as: "y")
    return GraphModule(graph, weightsIdentity: [])
  }

  @Test("A program runs what its graph says, row by row")
  func program() async throws {
    let program = try await EngineStore(backends: [PlainBackend()]).program(for: Self.module())
    program.write("x", row: 0, ([1, 2, 3] as ContiguousArray<Float>).span)
    program.write("x", row: 1, ([5] as ContiguousArray<Float>).span)
    try program.run()
    #expect(program.read("y", row: 0, as: Float.self) { $0.indices.map(\.self).count } == 3)
    #expect(
      program.read("y", as: Float.self) { y in y.indices.map { y[$0] } } == [2, 6, 12, 30, 30, 30])
    #expect(program.fastestRun != nil && program.report.origin == .compiled)
    #expect(program.hasInput("x") && !program.hasInput("y"))
  }

  @Test("Fifty concurrent requests for three graphs wait for three compilations, one at a time")
  func askers() async throws {
    let backend = PlainBackend(compilationTime: 0.02)
    let store = EngineStore(backends: [backend])
    let log = EngineLog()
    try await withThrowingTaskGroup(of: Float.self) { group in
      for asker in 0..<50 {
        group.addTask {
          let program = try await store.program(for: Self.module(Float(asker % 3)), log: log)
          program.withInput("x", as: Float.self) { $0[0] = 2 }
          try program.run()
          // Held until all have theirs: an engine lives as long as a program of it.
          while log.made.count < 50 { await Task.yield() }
          return program.read("y", as: Float.self) { $0[0] } - 2 * Float(asker % 3)
        }
      }
      for try await result in group { #expect(result == 4) }
    }
    #expect(backend.counts == .init(compiled: 3, loaded: 0, atOnce: 1))
    #expect(log.made.count == 50 && log.present.isEmpty)
    #expect(log.made.count { $0.origin == .compiled } == 3)
  }

  @Test("An engine goes with its last program, and is compiled again")
  func released() async throws {
    let backend = PlainBackend()
    let store = EngineStore(backends: [backend])
    var first: Program? = try await store.program(for: Self.module())
    var second: Program? = try await store.program(for: Self.module())
    #expect(second?.report.origin == .shared && backend.counts.compiled == 1)
    first = nil
    #expect(first == nil)
    second = try await store.program(for: Self.module())
    #expect(second?.report.origin == .shared)
    second = nil
    second = try await store.program(for: Self.module())
    #expect(second?.report.origin == .compiled && backend.counts.compiled == 2)
  }

  @Test("Engines are persisted for other stores; another version compiles its own")
  func persisted() async throws {
    let folder = try TemporaryFolder()
    let cache = EngineCache(folder: folder.path) { Issue.record("\($0)") }
    for (version, origin) in [("1", .compiled), ("1", .cached), ("2", .compiled), ("2", .cached)]
      as [(String, EngineReport.Origin)]
    {
      let backend = PlainBackend(version: version)
      let store = EngineStore(backends: [backend], cache: cache)
      #expect(try await store.program(for: Self.module()).report.origin == origin)
      #expect(backend.counts.loaded == (origin == .cached ? 1 : 0))
      #expect(await !store.hasUnpersisted)
    }
    #expect(try cache.entries().count == 2)
  }

  /// A module with weights, which count as large where a store says so.
  private static func weighty(in folder: TemporaryFolder) throws -> GraphModule {
    let store = try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([("l.weight", [2, 3], [1, 2, 3, 4, 5, 6])]), as: "w.safetensors"))
    let graph = Graph(name: "weighty")
    graph.output(try graph.input("x", shape: [1, 3]).linear(store.root["l"]), as: "y")
    return GraphModule(graph, weightsIdentity: store.identity)
  }

  @Test("A large engine is persisted as soon as it is compiled, and used from there")
  func reloaded() async throws {
    let folder = try TemporaryFolder()
    let cache = EngineCache(folder: "\(folder.path)/cache") { Issue.record("\($0)") }
    let module = try Self.weighty(in: folder)
    #expect(module.weightsByteCount == 24)
    for (limit, loaded) in [(24, 1), (25, 0)] {
      try? cache.clear()
      let backend = PlainBackend()
      let store = EngineStore(backends: [backend], cache: cache, reloadedByteCount: limit)
      let program = try await store.program(for: module)
      #expect(backend.counts == .init(compiled: 1, loaded: loaded, atOnce: 1))
      #expect(program.report.origin == .compiled)
      program.write("x", ([1, 10, 100] as ContiguousArray<Float>).span)
      try program.run()
      #expect(program.read("y", as: Float.self) { y in y.indices.map { y[$0] } } == [321, 654])
      #expect(try cache.entries().count == 1)
      #expect(await !store.hasUnpersisted)
    }
    let backend = PlainBackend()
    let store = EngineStore(backends: [backend], reloadedByteCount: 0)
    _ = try await store.program(for: module)
    #expect(backend.counts == .init(compiled: 1, loaded: 0, atOnce: 1))
  }

  @Test("A large engine that cannot be persisted or loaded again is used as it was compiled")
  func notReloaded() async throws {
    let folder = try TemporaryFolder()
    let module = try Self.weighty(in: folder)
    let reports = Mutex<[String]>([])
    let cache = EngineCache(folder: "\(folder.path)/cache", limit: .bytes(8)) { line in
      reports.withLock { $0.append(line) }
    }
    let backend = PlainBackend()
    let store = EngineStore(backends: [backend], cache: cache, reloadedByteCount: 0)
    #expect(try await store.program(for: module).report.origin == .compiled)
    #expect(backend.counts == .init(compiled: 1, loaded: 0, atOnce: 1))
    #expect(await !store.hasUnpersisted)
    #expect(reports.withLock { $0.count } == 1)

    let forgetful = PlainBackend(canLoad: false)
    let whole = EngineCache(folder: "\(folder.path)/cache") { line in
      reports.withLock { $0.append(line) }
    }
    let second = EngineStore(backends: [forgetful], cache: whole, reloadedByteCount: 0)
    #expect(try await second.program(for: module).report.origin == .compiled)
    #expect(forgetful.counts == .init(compiled: 2, loaded: 1, atOnce: 1))
    #expect(reports.withLock { $0.last?.contains("cannot be used") } == true)
  }

  @Test("A cancelled task starts no compilation; existing programs are still returned")
  func cancelled() async throws {
    let backend = PlainBackend()
    let store = EngineStore(backends: [backend])
    let module = try Self.module()
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      _ = try await store.program(for: module)
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(backend.counts.compiled == 0)
  }

  @Test("An operator that the backend lacks is its own error, and the store continues")
  func unknownOperator() async throws {
    let store = EngineStore(backends: [PlainBackend()])
    let graph = Graph(name: "rounding")
    graph.output(graph.input("x", shape: [1]).rounded(), as: "y")
    let module = GraphModule(graph, weightsIdentity: [])
    let error = await #expect(throws: EngineError.self) {
      _ = try await store.program(for: module)
    }
    #expect(error?.code == .compilationFailed && error?.message == "rounding: no operator Round")
    _ = try await store.program(for: Self.module())
  }

  @Test("Measurements are kept by kind of graph")
  func measurements() async throws {
    let folder = try TemporaryFolder()
    let cache = EngineCache(folder: folder.path)
    let store = EngineStore(backends: [PlainBackend()], cache: cache)
    try await store.persist([1: 0.25, 4: 0.5], of: Self.module())
    #expect(try await store.measurements(of: Self.module()) == [1: 0.25, 4: 0.5])
    #expect(try await store.measurements(of: Self.module(2)).isEmpty)
  }

  // MARK: - Devices

  @Test(
    "Devices are named with or without their backend",
    arguments: [
      ("CPU", nil, "CPU"), ("GPU.1", nil, "GPU.1"), ("openvino:CPU", "openvino", "CPU"),
      ("AUTO:GPU,CPU", nil, "AUTO:GPU,CPU"), ("openvino:AUTO:GPU,CPU", "openvino", "AUTO:GPU,CPU"),
      ("onnxruntime:CUDA.0", "onnxruntime", "CUDA.0"), ("cpu:0-7", nil, "CPU"),
      ("onnxruntime:cpu:0-3+8", "onnxruntime", "CPU"),
    ] as [(String, String?, String)])
  func deviceNames(text: String, backend: String?, name: String) throws {
    let device = try DeviceName(parsing: text)
    #expect(device.backend == backend && device.name == name && device.description == text)
  }

  @Test(
    "A name of no device or of several is refused", arguments: ["", ":", "openvino:", "CPU,GPU"])
  func refusedNames(text: String) {
    let error = #expect(throws: EngineError.self) { try DeviceName(parsing: text) }
    #expect(error?.code == .deviceUnavailable)
    #expect(error?.message.hasPrefix("'\(text)' names ") == true)
  }

  @Test("A device or a backend that is not there is refused with those that are")
  func absentDevices() async throws {
    for (name, message) in [
      ("TPU", "there is no device 'TPU'; this machine has CPU, CPU.1"),
      ("cuda:CPU", "there is no backend 'cuda'; available: plain"),
    ] {
      let store = EngineStore(
        backends: [PlainBackend()], device: try DeviceName(parsing: name))
      let error = await #expect(throws: EngineError.self) {
        _ = try await store.program(for: Self.module())
      }
      #expect(error?.code == .deviceUnavailable && error?.message == message)
    }
  }
}
