import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowEngine
@testable import FlowGraph
@testable import FlowONNXRuntime

/// ONNX Runtime as it is found, loaded and asked.
@Suite(
  .tags(.engine, .process),
  .enabled(if: TestBackend.onnxRuntime.isThere, "ONNX Runtime is not set up"))
struct RuntimeTests {
  private static let device = Device(backend: "onnxruntime", name: "CPU")
  private let backend = ONNXRuntimeBackend(cacheFolder: nil)

  private static func module(_ name: String = "plain") -> GraphModule {
    let graph = Graph(name: name)
    graph.output(graph.input("x", shape: [2]).relu().rounded(), as: "y")
    return GraphModule(graph, weightsIdentity: [])
  }

  @Test("The runtime is found and says what it is")
  func found() throws {
    let runtime = try ONNXRuntime.shared()
    #expect(runtime.version.hasPrefix("1."))
    #expect(runtime.build.contains("ORT Build Info"))
    #expect(runtime.providers.contains("CPUExecutionProvider"))
    let fingerprint = try backend.fingerprint(of: Self.device, EngineOptions(threadCount: 2))
    #expect(fingerprint.starts(with: ["onnxruntime", runtime.version, runtime.build, "CPU"]))
    #expect(
      try fingerprint != backend.fingerprint(of: Self.device, EngineOptions(threadCount: 1)))
  }

  @Test("The last function of each release stands where it is expected, in the library itself")
  func slots() throws {
    let folder = try TemporaryFolder()
    let program = "\(folder.path)/slots"
    let source = try Recorder.source("slots.c")
    #expect(try Recorder.run("clang", source + ["-ldl", "-o", program]) == 0)
    #expect(try Recorder.run(program, [ONNXRuntime.shared().path]) == 0)
  }

  @Test("No runtime is an error that says how to get one")
  func missing() throws {
    let folder = try TemporaryFolder()
    let candidates = RuntimeLocation.candidates(
      environment: ["STREAMFLOW_ONNXRUNTIME": folder.path], executable: "/bin/x")
    #expect(candidates.isEmpty)
    let error = #expect(throws: EngineError.self) { try ONNXRuntime(candidates: candidates) }
    #expect(error?.code == .runtimeMissing)
    #expect(error?.message.contains("pip install onnxruntime") == true)
    #expect(error?.message.contains("set STREAMFLOW_ONNXRUNTIME") == true)
  }

  @Test("The wheel's library is found under its release, none of its providers is taken for it")
  func names() throws {
    #if os(Linux)
      let folder = try TemporaryFolder()
      for name in [
        "libonnxruntime.so.1.9.0", "libonnxruntime.so.1.32.0", "libonnxruntime_providers_cuda.so",
        "libonnxruntime_providers_shared.so", "libother.so.1",
      ] { _ = try folder.write([1], as: "lib/streamflow/onnxruntime/capi/\(name)") }
      let command = try folder.write([1], as: "lib/streamflow/streamflow")
      _ = try folder.write([1], as: "bin/other")
      let link = "\(folder.path)/bin/streamflow"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: command)
      let beside = "\(folder.path)/lib/streamflow/onnxruntime/capi/libonnxruntime.so."
      #expect(
        RuntimeLocation.candidates(environment: [:], executable: link)
          .filter { $0.hasPrefix(folder.path) } == ["\(beside)1.32.0", "\(beside)1.9.0"])
    #endif
  }

  @Test("A file that is not a library is reported with the loader's message")
  func damaged() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([1, 2, 3], as: "libonnxruntime.so.1.32.0")
    let error = #expect(throws: EngineError.self) { try ONNXRuntime(candidates: [path]) }
    #expect(error?.code == .runtimeMissing)
    #expect(error?.message.contains(path) == true)
  }

  @Test("A missing device is reported with the available ones")
  func device() async throws {
    let store = EngineStore(
      backends: [backend], device: try DeviceName(parsing: "onnxruntime:TPU"))
    let error = await #expect(throws: EngineError.self) {
      _ = try await store.program(for: Self.module())
    }
    #expect(error?.code == .deviceUnavailable)
    #expect(
      error?.message.hasPrefix("there is no device 'onnxruntime:TPU'; this machine has CPU") == true
    )
  }

  @Test("Less than float32 is refused on the CPU, whose kernels have no other precision")
  func precision() throws {
    for precision in [EngineOptions.Precision.float16, .bfloat16] {
      let error = #expect(throws: EngineError.self) {
        _ = try backend.compile(
          Self.module(), on: Self.device, EngineOptions(precision: precision))
      }
      #expect(error?.code == .compilationFailed)
      #expect(
        error?.message.hasPrefix(
          "onnxruntime:CPU computes in f32, got \(precision.rawValue); choose f32") == true)
    }
  }

  @Test("A graph that the runtime rejects is reported with its message")
  func refused() throws {
    let graph = Graph(name: "junk")
    let input = graph.input("x", shape: [2])
    graph.output(graph.add("NoSuchOperator", [input], shape: [2]), as: "y")
    let error = #expect(throws: EngineError.self) {
      _ = try backend.compile(
        GraphModule(graph, weightsIdentity: []), on: Self.device, EngineOptions())
    }
    #expect(error?.code == .modelUnreadable || error?.code == .compilationFailed)
    #expect(error?.message.hasPrefix("cannot compile junk for onnxruntime:CPU: ") == true)
    #expect(error?.message.contains("NoSuchOperator") == true)
  }

  @Test("Operators left to the CPU where it may run none are named")
  func left() throws {
    let settings = SessionSettings(
      providers: [], entries: [.init("session.disable_cpu_ep_fallback", "1")], threadCount: 1)
    let error = #expect(throws: EngineError.self) {
      _ = try Session(Self.module(), on: .cuda(0), settings, runtime: .shared())
    }
    #expect(error?.code == .compilationFailed)
    #expect(error?.message.contains("cuda:0 does not support Relu '") == true)
    #expect(error?.message.contains("Round '") == true)
  }

  @Test("Every device that is listed runs, or says what it needs")
  func devices() throws {
    let devices = try backend.devices()
    #expect(devices.first == Self.device)
    for device in devices {
      do throws(EngineError) {
        let program = try Program(
          compiling: Self.module(), with: backend, on: device, EngineOptions())
        program.withInput(0, as: Float.self) { ($0[0], $0[1]) = (-3.2, 2.5) }
        try program.run()
        #expect(program.read(0, as: Float.self) { [$0[0], $0[1]] } == [0, 2], "\(device)")
      } catch {
        #expect(device != Self.device && error.code == .deviceUnavailable, "\(error)")
        #expect(error.message.contains("needs CUDA 13"))
      }
    }
  }

  @Test("What a session was made with can be asked")
  func properties() throws {
    let program = try Program(
      compiling: Self.module(), with: backend, on: Self.device, EngineOptions(threadCount: 2))
    #expect(try program.property("intra_op_num_threads") == "2")
    #expect(try program.property("session.intra_op.allow_spinning") == "0")
    let error = #expect(throws: EngineError.self) { try program.property("nothing") }
    #expect(error?.code == .runFailed)
  }

  @Test("A store compiles once, shares, and persists nothing")
  func store() async throws {
    let folder = try TemporaryFolder()
    let store = EngineStore(
      backends: [backend], device: try DeviceName(parsing: "onnxruntime:CPU"),
      cache: EngineCache(folder: folder.path))
    let first = try await store.program(for: Self.module())
    let second = try await store.program(for: Self.module())
    #expect(first.report.origin == .compiled && second.report.origin == .shared)
    second.withInput(0, as: Float.self) { ($0[0], $0[1]) = (-3.2, 2.5) }
    try second.run()
    #expect(second.read(0, as: Float.self) { [$0[0], $0[1]] } == [0, 2])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }
}
