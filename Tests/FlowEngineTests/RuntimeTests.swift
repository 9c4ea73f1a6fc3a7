import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowEngine
@testable import FlowOpenVINO

@Suite(.tags(.engine, .process)) struct RuntimeTests {
  private static let package = URL(filePath: #filePath)
    .deletingLastPathComponent().appending(path: "../..").standardizedFileURL.path

  @Test("The runtime is found and says what it is")
  func found() throws {
    let runtime = try OpenVINORuntime.shared()
    #expect(runtime.version.hasPrefix("2026.4"))
    #expect(try runtime.devices().contains("CPU"))
    #expect(try !runtime.property("FULL_DEVICE_NAME", of: "CPU").isEmpty)
  }

  @Test("No runtime is an error that says how to get one")
  func missing() throws {
    let folder = try TemporaryFolder()
    let candidates = RuntimeLocation.candidates(
      environment: ["STREAMFLOW_OPENVINO": folder.path], executable: "/bin/x")
    #expect(candidates.isEmpty)
    let error = #expect(throws: EngineError.self) { try OpenVINORuntime(candidates: candidates) }
    #expect(error?.code == .runtimeMissing)
    #expect(error?.message.contains("pip install 'openvino==2026.4.*'") == true)
    #expect(error?.message.contains("set STREAMFLOW_OPENVINO") == true)
  }

  @Test("An installed command finds the runtime beside what its link leads to")
  func installed() throws {
    let folder = try TemporaryFolder()
    let library = try folder.write([1], as: "lib/streamflow/openvino/libs/libopenvino_c.so.2640")
    let command = try folder.write([1], as: "lib/streamflow/streamflow")
    _ = try folder.write([1], as: "bin/other")
    let link = "\(folder.path)/bin/streamflow"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: command)
    #if os(Linux)
      #expect(
        RuntimeLocation.candidates(environment: [:], executable: link).first == library)
    #endif
  }

  @Test("A file that is not a library is reported with the loader's message")
  func damaged() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([1, 2, 3], as: "libopenvino_c.so.2640")
    let error = #expect(throws: EngineError.self) { try OpenVINORuntime(candidates: [path]) }
    #expect(error?.message.contains(path) == true)
  }

  @Test("A missing device is reported with the available ones")
  func device() async throws {
    let graph = Graph(name: "nothing")
    graph.output(graph.input("x", shape: [1]).relu(), as: "y")
    let model = GraphModule(graph, weightsIdentity: [])
    let error = await #expect(throws: EngineError.self) {
      _ = try await EngineStore.fresh(device: DeviceName(name: "TPU")).program(for: model)
    }
    #expect(error?.code == .deviceUnavailable)
    #expect(
      error?.message.hasPrefix("there is no device 'TPU'; this machine has CPU") == true)
  }

  @Test("A graph that the runtime rejects is reported with its message")
  func refused() throws {
    let error = #expect(throws: EngineError.self) {
      _ = try OpenVINORuntime.shared().compile(
        [1, 2, 3], named: "junk", on: "CPU", [], didRead: {})
    }
    #expect(error?.code == .modelUnreadable)
    #expect(error?.message.hasPrefix("cannot read the graph junk: ") == true)
  }

  #if os(Linux) || os(macOS)
    @Test("A process ends with its own status while another thread compiles")
    func exit() async throws {
      await #expect(processExitsWith: .exitCode(7)) {
        for thread in 0..<3 {
          Thread.detachNewThread {
            while (try? Self.compileSomething(thread)) != nil {}
          }
        }
        // Everything that is made at the first use is there.
        try Self.compileSomething(3)
        try await Task.sleep(for: .milliseconds(200))
        Foundation.exit(7)
      }
    }
  #endif

  private static func compileSomething(_ number: Int) throws {
    let graph = Graph(name: "something\(number)")
    var value = graph.input("x", shape: [1, 64])
    for layer in 0..<40 {
      let weight = (0..<64 * 64).map { Float(($0 + layer) % 7) / 7 }
      value = try value.matrixProduct(graph.constant(weight, shape: [64, 64])).sigmoid()
    }
    graph.output(value, as: "y")
    let session = try Program.compiled(GraphModule(graph, weightsIdentity: []))
    try session.run()
  }

  @Test("Float32 is asked for where the device would take less")
  func precision() throws {
    let graph = Graph(name: "precision")
    graph.output(graph.input("x", shape: [1]).relu(), as: "y")
    let session = try Program.compiled(GraphModule(graph, weightsIdentity: []))
    #expect(try session.property("INFERENCE_PRECISION_HINT") == "f32")
  }

  @Test("Options of one engine do not reach the next, compiled or loaded")
  func options() async throws {
    let folder = try TemporaryFolder()
    let cache = EngineCache(folder: folder.path)
    let graph = Graph(name: "threads")
    graph.output(graph.input("x", shape: [1]).relu(), as: "y")
    let module = GraphModule(graph, weightsIdentity: [])
    func threads(_ count: Int?) async throws -> String {
      let program = try await EngineStore.fresh(
        options: EngineOptions(threadCount: count), cache: cache
      ).program(for: module)
      #if os(Linux)
        // A thread that leaves others free stays where the system puts it.
        let isFew = count.map { $0 < ProcessInfo.processInfo.activeProcessorCount } ?? false
        #expect(try program.property("ENABLE_CPU_PINNING") == (isFew ? "NO" : "YES"))
      #endif
      return try program.property("INFERENCE_NUM_THREADS")
    }
    let plain = try await threads(nil)
    #expect(try await threads(1) == "1")
    // Loading sets the whole process's properties.
    #expect(try await threads(1) == "1")
    #expect(try await threads(nil) == plain)
    let other = Graph(name: "others")
    other.output(other.input("x", shape: [2]).relu(), as: "y")
    let compiled = try await EngineStore.fresh().program(
      for: GraphModule(other, weightsIdentity: []))
    #expect(try compiled.property("INFERENCE_NUM_THREADS") == plain)
  }

  @Test("The end of the process is registered once for a kind of graph")
  func registrations() throws {
    try Self.compileSomething(0)
    let count = ExitGate.shared.registrationCount
    for number in 1..<5 { try Self.compileSomething(number) }
    #expect(ExitGate.shared.registrationCount == count)
  }

  @Test("The shim's declarations are those of the runtime's own headers")
  func declarations() throws {
    let headers = "\(Self.package)/.deps/openvino/include"
    try #require(
      FileManager.default.fileExists(atPath: "\(headers)/openvino/c/openvino.h"),
      "run `make setup` first")
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "clang", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I", headers, "-I",
      "\(Self.package)/Sources/COpenVINO/include",
      "\(Self.package)/Tests/FlowEngineTests/Fixtures/declarations.c",
    ]
    let pipe = Pipe()
    process.standardError = pipe
    try process.run()
    let words = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(String(decoding: words, as: UTF8.self))")
  }
}
