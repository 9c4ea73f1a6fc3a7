import FlowGraph
import Foundation

private let number = ProcessInfo.processInfo.processIdentifier
private let path = "\(NSTemporaryDirectory())/fuzz-\(number).gguf"

/// Opens any bytes as a GGUF file, reads what it names, and writes each matrix into a graph, whole
/// and in few bits.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Data(UnsafeBufferPointer(start: start, count: count))
  FileManager.default.createFile(atPath: path, contents: bytes)
  guard let store = try? WeightStore(file: path) else { return 0 }
  for (name, weight) in store.weights {
    _ = try? weight.floats()
    guard name.hasSuffix(".weight"), weight.shape.rank == 2, weight.shape.elementCount > 0 else {
      continue
    }
    for compression in WeightCompression.allCases {
      let compressed = store.compressed(to: compression, from: 1)
      let graph = Graph(name: "fuzz")
      let input = graph.input("x", shape: [1, 1, weight.shape[1]])
      guard let output = try? input.linear(compressed.root[String(name.dropLast(7))]) else {
        continue
      }
      graph.output(output, as: "y")
      let module = GraphModule(graph, weightsIdentity: compressed.identity)
      _ = try? module.onnx(locatingWeightsBy: .address)
    }
  }
  return 0
}
