import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowEngine
@testable import FlowONNXRuntime

/// What ONNX Runtime is asked where it has GPUs, against a library that records it.
@Suite(.tags(.process)) struct ProviderTests {
  private static func module(_ name: String = "net", identity: [String] = []) throws -> GraphModule
  {
    let graph = Graph(name: name)
    graph.output(try graph.input("x", shape: [2, 3]).relu() * 2, as: "y")
    return GraphModule(graph, weightsIdentity: identity)
  }

  private static let gpu = [
    "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider",
  ]

  private static func compiled(
    _ recorder: Recorder, on device: String, _ options: EngineOptions = EngineOptions(),
    cacheFolder: String? = nil, identity: [String] = []
  ) throws -> Program {
    let backend = ONNXRuntimeBackend(recorder.runtime, cacheFolder: cacheFolder)
    return try Program(
      compiling: module(identity: identity), with: backend,
      on: #require(try backend.device(named: device)), options)
  }

  @Test("A session on the CPU is made, bound once and run with nothing asked in between")
  func cpu() throws {
    let recorder = try Recorder()
    let program = try Self.compiled(recorder, on: "CPU", EngineOptions(threadCount: 3))
    try program.run()
    try program.run()
    #expect(
      try recorder.lines() == [
        "environment streamflow, severity 4", "execution mode 0", "optimization level 99",
        "intra-op threads 3", "inter-op threads 1",
        "session session.use_external_initializer_file_buffers_directly=1",
        "session session.intra_op.allow_spinning=0",
        "session session.qdq_matmulnbits_accuracy_level=1", "session of a graph",
        "release_session_options",
        "memory of the CPU, allocator 0, type 0", "tensor [2 3] of type 1, 24 bytes", "input x",
        "memory of the CPU, allocator 0, type 0", "tensor [2 3] of type 1, 24 bytes", "output y",
        "run", "run",
      ])
  }

  @Test("Weights are given as the mapped file, once")
  func weights() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      SafetensorsWriter.file([("a", [2], [1, 2]), ("b", [2], [3, 4])]), as: "w.safetensors")
    let store = try WeightStore(file: path)
    let graph = Graph(name: "sum")
    let input = graph.input("x", shape: [2])
    let sum = try input + store.root.value("a", in: graph)
    graph.output(try sum + store.root.value("b", in: graph), as: "y")
    let recorder = try Recorder()
    let backend = ONNXRuntimeBackend(recorder.runtime, cacheFolder: nil)
    _ = try Program(
      compiling: GraphModule(graph, weightsIdentity: store.identity), with: backend,
      on: Device(backend: "onnxruntime", name: "CPU"), EngineOptions())
    let count = try #require(FileManager.default.contents(atPath: path)).count
    let files = try recorder.lines().filter { $0.hasPrefix("file ") }
    #expect(files == ["file file0 at memory of \(count) bytes"])
  }

  @Test("CUDA is asked for on its device, its products in float32 unless less is enough")
  func cuda() throws {
    for (precision, tf32) in [(EngineOptions.Precision.float32, "0"), (.float16, "1")] {
      let recorder = try Recorder(.init(providers: Self.gpu))
      _ = try Self.compiled(recorder, on: "cuda:1", EngineOptions(precision: precision))
      let lines = try recorder.lines()
      #expect(lines.contains("session session.disable_cpu_ep_fallback=1"))
      #expect(
        lines.filter { $0.contains("cuda") } == [
          "cuda device_id=1", "cuda use_tf32=\(tf32)",
          "cuda arena_extend_strategy=kSameAsRequested", "append_cuda", "release_cuda_options",
        ])
      #expect(!lines.contains { $0.hasPrefix("tensorrt") })
    }
  }

  @Test("TensorRT comes before CUDA, in the precision that is asked for")
  func tensorRT() throws {
    func lines(_ precision: EngineOptions.Precision) throws -> [String] {
      let recorder = try Recorder(.init(providers: Self.gpu))
      _ = try Self.compiled(recorder, on: "tensorrt", EngineOptions(precision: precision))
      return try recorder.lines()
    }
    let plain = try lines(.float32)
    let start = ["tensorrt device_id=0", "tensorrt trt_fp16_enable=0"]
    #expect(
      plain.filter { $0.contains("tensorrt") } == start + [
        "tensorrt trt_bf16_enable=0", "tensorrt trt_int8_enable=0", "append_tensorrt",
        "release_tensorrt_options",
      ])
    let places = try (
      #require(plain.firstIndex(of: "append_tensorrt")),
      #require(plain.firstIndex(of: "append_cuda"))
    )
    #expect(places.0 < places.1)
    #expect(plain.contains("session session.disable_cpu_ep_fallback=1"))
    let half = try lines(.float16)
    #expect(half.contains("tensorrt trt_fp16_enable=1"))
    #expect(half.contains("tensorrt trt_layer_norm_fp32_fallback=1"))
    #expect(try lines(.bfloat16).contains("tensorrt trt_bf16_enable=1"))
  }

  @Test("TensorRT's engines are kept under the checkpoint's identity and the options")
  func engineCache() throws {
    let folder = try TemporaryFolder()
    func prefix(_ identity: [String], _ precision: EngineOptions.Precision = .float32) throws
      -> String
    {
      let recorder = try Recorder(.init(providers: Self.gpu))
      _ = try Self.compiled(
        recorder, on: "tensorrt:0", EngineOptions(precision: precision),
        cacheFolder: "\(folder.path)/engines", identity: identity)
      let lines = try recorder.lines()
      #expect(lines.contains("tensorrt trt_engine_cache_enable=1"))
      #expect(lines.contains("tensorrt trt_engine_cache_path=\(folder.path)/engines"))
      #expect(lines.contains("tensorrt trt_timing_cache_path=\(folder.path)/engines"))
      let key = "tensorrt trt_engine_cache_prefix="
      return String(try #require(lines.first { $0.hasPrefix(key) }).dropFirst(key.count))
    }
    let one = try prefix(["checkpoint 1"])
    #expect(one.hasPrefix("net-"))
    #expect(try prefix(["checkpoint 1"]) == one)
    #expect(try prefix(["checkpoint 2"]) != one)
    #expect(try prefix(["checkpoint 1"], .float16) != one)
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/engines"))
  }

  @Test("CoreML computes in float32 without the Neural Engine, and in float16 with it")
  func coreML() throws {
    let providers = ["CoreMLExecutionProvider", "CPUExecutionProvider"]
    for (precision, units, low) in [
      (EngineOptions.Precision.float32, "CPUAndGPU", "0"), (.float16, "ALL", "1"),
    ] {
      let recorder = try Recorder(.init(providers: providers))
      _ = try Self.compiled(recorder, on: "coreml", EngineOptions(precision: precision))
      #expect(
        try recorder.lines().filter { $0.contains("CoreML") } == [
          "CoreML ModelFormat=MLProgram", "CoreML MLComputeUnits=\(units)",
          "CoreML RequireStaticInputShapes=1",
          "CoreML AllowLowPrecisionAccumulationOnGPU=\(low)", "append_provider CoreML",
        ])
    }
    let recorder = try Recorder(.init(providers: providers))
    let error = #expect(throws: EngineError.self) {
      _ = try Self.compiled(recorder, on: "coreml", EngineOptions(precision: .bfloat16))
    }
    #expect(
      error?.message.hasPrefix("onnxruntime:coreml computes in f32 and f16, got bf16; ") == true)
  }

  @Test("Devices are those of the providers that the library was built with")
  func devices() throws {
    func names(_ providers: [String]) throws -> [String] {
      try ONNXRuntimeBackend(Recorder(.init(providers: providers)).runtime, cacheFolder: nil)
        .devices().map(\.description)
    }
    #expect(try names(["CPUExecutionProvider"]) == ["onnxruntime:CPU"])
    #expect(
      try names(Self.gpu) == [
        "onnxruntime:CPU", "onnxruntime:tensorrt:0", "onnxruntime:cuda:0",
      ])
  }

  @Test(
    "A provider that is not there is reported with the package that carries it and what it needs",
    arguments: [
      ("cuda:0", "CUDAExecutionProvider", ["pip install onnxruntime-gpu", "CUDA 13", "cuDNN 9"]),
      ("tensorrt:0", "TensorrtExecutionProvider", ["onnxruntime-gpu", "libnvinfer.so.10"]),
      ("coreml", "CoreMLExecutionProvider", ["`onnxruntime` for macOS"]),
    ])
  func absent(device: String, provider: String, words: [String]) throws {
    let backend = ONNXRuntimeBackend(try Recorder().runtime, cacheFolder: nil)
    let error = #expect(throws: EngineError.self) { _ = try backend.device(named: device) }
    #expect(error?.code == .deviceUnavailable)
    let message = try #require(error?.message)
    #expect(message.hasPrefix("onnxruntime:\(device) needs \(provider), and '"))
    #expect(message.contains("(ONNX Runtime 1.32.0) has CPUExecutionProvider; "))
    for word in words { #expect(message.contains(word)) }
    // The store tells the same, whichever backends there are beside.
    let name = try DeviceName(parsing: "onnxruntime:\(device)")
    let resolved = #expect(throws: EngineError.self) {
      _ = try name.resolved(among: [PlainBackend(), backend])
    }
    #expect(resolved == error)
  }

  @Test("A provider that cannot be loaded is reported in the library's words, with what it needs")
  func unloadable() throws {
    let reason = "libcudart.so.13: cannot open shared object file"
    for (device, function) in [("cuda:0", "append_cuda"), ("tensorrt:0", "append_tensorrt")] {
      let recorder = try Recorder(.init(providers: Self.gpu, refused: (function, reason)))
      let error = #expect(throws: EngineError.self) {
        _ = try Self.compiled(recorder, on: device)
      }
      #expect(error?.code == .deviceUnavailable)
      #expect(
        error?.message.hasPrefix("cannot use onnxruntime:\(device): \(reason); ") == true)
      #expect(error?.message.contains("CUDA 13") == true)
      #expect(try recorder.lines().last == "release_session_options")
    }
  }

  @Test(
    "An operator that the provider does not take is an error that names it",
    arguments: [
      ("1.32.0", "cuda:0 does not support Round 'left'"), ("1.23.2", "1.24 or later reports"),
    ])
  func left(version: String, words: String) throws {
    let reason =
      "graph nodes are assigned to the default CPU EP, but fallback to CPU EP is disabled"
    let recorder = try Recorder(
      .init(
        version: version, providers: Self.gpu, refused: ("create_session_from_array", reason)))
    let error = #expect(throws: EngineError.self) {
      _ = try Self.compiled(recorder, on: "cuda:0")
    }
    #expect(error?.code == .compilationFailed)
    let message = try #require(error?.message)
    #expect(message.hasPrefix("cannot compile net for onnxruntime:cuda:0: \(reason); "))
    #expect(message.contains(words))
    #expect(!message.contains("taken"))
  }

  @Test(
    "A release that is too old is reported with the remedy",
    arguments: ["1.22.1", "1.9.0", "2.0.0", "strange"])
  func old(version: String) throws {
    let (folder, library) = try Recorder.compile(.init(version: version))
    let error = #expect(throws: EngineError.self) { _ = try ONNXRuntime(candidates: [library]) }
    #expect(error?.code == .runtimeUnsupported)
    let start = "'\(library)' is ONNX Runtime \(version), expected 1.23 or a later 1.x; "
    #expect(error?.message.hasPrefix(start) == true)
    #expect(error?.message.contains("pip install onnxruntime") == true)
    withExtendedLifetime(folder) {}
  }

  @Test("A run that fails is reported in the library's words")
  func run() throws {
    let recorder = try Recorder(.init(refused: ("run_with_binding", "out of memory")))
    let program = try Self.compiled(recorder, on: "CPU")
    let error = #expect(throws: EngineError.self) { try program.run() }
    #expect(error == EngineError(code: .runFailed, message: "cannot run net: out of memory"))
  }
}
