/// Memory that contains weights of a graph: a mapped file, or a copied or derived tensor.
package struct WeightMemory: Equatable, Sendable {
  /// The file name that the graph refers to.
  package let name: String
  /// The address of the first byte; valid as long as the module.
  package let address: UInt
  /// Its length in bytes.
  package let byteCount: Int
}

extension GraphModule {
  /// The graph in the ONNX format, its weights in files that are not opened but given as memory.
  ///
  /// For runtimes that refuse addresses in a graph. A mapped file is one piece of memory, whatever
  /// the number of its tensors; a tensor that lies off the alignment of its elements is another.
  ///
  /// - Throws: as ``onnx(locatingWeightsBy:)``.
  package func onnxWithMemory() throws(GraphError) -> (model: [UInt8], memory: [WeightMemory]) {
    var memory: [WeightMemory] = []
    var files: [ObjectIdentifier: String] = [:]
    let model = try onnx { tensor throws(GraphError) in
      let weight: Weight
      switch tensor {
      case .weight(let stored): weight = stored
      case .derived(let tensor):
        let name = "derived\(memory.count)"
        memory.append(
          WeightMemory(
            name: name, address: try derivedTensors.address(of: tensor),
            byteCount: tensor.byteCount))
        return (name, 0)
      }
      let address = try copies.address(of: weight)
      guard address == weight.file.address(of: weight.offset) else {
        let name = "copy\(memory.count)"
        memory.append(WeightMemory(name: name, address: address, byteCount: weight.byteCount))
        return (name, 0)
      }
      let file = ObjectIdentifier(weight.file)
      if let name = files[file] { return (name, UInt64(weight.offset)) }
      let name = "file\(memory.count)"
      files[file] = name
      memory.append(
        WeightMemory(
          name: name, address: weight.file.address(of: 0), byteCount: weight.file.byteCount))
      return (name, UInt64(weight.offset))
    }
    return (model, memory)
  }
}
