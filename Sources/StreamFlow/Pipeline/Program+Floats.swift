internal import FlowEngine
internal import FlowGraph
internal import FlowModels

extension Program {
  /// An output's elements as floats, of an output of floats or bytes.
  ///
  /// - Precondition: the output exists.
  func floats(_ name: PortName) -> [Float] {
    if outputs.first(where: { $0.name == name })?.type == .uint8 {
      return read(name, as: UInt8.self) { span in span.indices.map { Float(span[$0]) } }
    }
    return read(name, as: Float.self) { span in span.indices.map { span[$0] } }
  }
}
