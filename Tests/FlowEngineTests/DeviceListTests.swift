import FlowCore
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowEngine

/// Several devices, and cores of the CPU as devices.
@Suite struct DeviceListTests {
  @Test(
    "A list names its devices in order; what OpenVINO composes is one",
    arguments: [
      ("CPU", ["CPU"]), ("cuda:0,cuda:1", ["cuda:0", "cuda:1"]),
      ("cpu:0-7, cpu:8-15", ["cpu:0-7", "cpu:8-15"]), ("CPU:0", ["cpu:0"]),
      ("onnxruntime:cuda:0,GPU.1", ["onnxruntime:cuda:0", "GPU.1"]),
      ("AUTO:GPU,CPU", ["AUTO:GPU,CPU"]), ("openvino:AUTO:GPU,CPU", ["openvino:AUTO:GPU,CPU"]),
      ("cpu:3+0-1+2", ["cpu:0-3"]), ("cpu:0-1+64-65", ["cpu:0-1+64-65"]),
    ])
  func lists(text: String, names: [String]) throws {
    #expect(try DeviceName.list(parsing: text).map(\.description) == names)
  }

  @Test(
    "A list that names nothing, or anything twice, is refused with what is wrong",
    arguments: [
      ("", "'' names no device"), ("CPU,", "'' names no device"),
      ("cuda:0,cuda:0", "names cuda:0 twice"),
      ("cpu:0-3,cpu:2-5", "names the cores 2-3 twice, in cpu:0-3 and in cpu:2-5"),
      ("cpu:7-0", "'7-0' names no cores"), ("cpu:", "'' names no cores"),
      ("cpu:0-", "'0-' names no cores"), ("cpu:-1", "'-1' names no cores"),
      ("cpu:0-1024", "'0-1024' names no cores"), ("cpu:+1", "'+1' names no cores"),
    ])
  func refused(text: String, message: String) {
    let error = #expect(throws: EngineError.self) { try DeviceName.list(parsing: text) }
    #expect(error?.code == .deviceUnavailable)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  #if os(Linux)
    @Test("A run stays on the device's cores, and its thread is given back as it was")
    func confined() async throws {
      let before = try #require(ThreadAffinity.current)
      let core = try #require(before.cores.last)
      let seen = try ThreadAffinity.within(CoreSet([core])) { ThreadAffinity.current }
      #expect(seen?.cores == [core])
      #expect(ThreadAffinity.current == before)
    }

    @Test("Cores that the process may not use are refused, with those that it may")
    func absentCores() async throws {
      let store = EngineStore(
        backends: [PlainBackend()], device: try DeviceName(parsing: "cpu:1000-1001"))
      let error = await #expect(throws: EngineError.self) {
        _ = try await store.program(for: try Self.module())
      }
      #expect(error?.code == .deviceUnavailable)
      #expect(error?.message.hasPrefix("'cpu:1000-1001' has the cores 1000-1001, and") == true)
    }

    private static func module() throws -> GraphModule {
      let graph = Graph(name: "same")
      let input = graph.input("input", shape: [1])
      graph.output(try input + input, as: "output")
      return GraphModule(graph, weightsIdentity: [])
    }
  #endif
}
