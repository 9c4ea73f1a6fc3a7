import FlowGraph
import Foundation

private let number = ProcessInfo.processInfo.processIdentifier
private let path = "\(NSTemporaryDirectory())/fuzz-\(number).safetensors"

/// Opens any bytes as a safetensors file and as a LoRA, and reads what it names.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Data(UnsafeBufferPointer(start: start, count: count))
  FileManager.default.createFile(atPath: path, contents: bytes)
  guard let file = try? Safetensors(path: path) else { return 0 }
  for weight in file.tensors.values { _ = try? weight.floats() }
  if let lora = try? LoRA(path: path), let store = try? WeightStore(file: path) {
    var stores: [LoRA.Component: WeightStore] = [.network: store]
    _ = try? lora.apply(scale: 1, to: &stores, names: [.network: LayerNames(store)])
  }
  return 0
}
