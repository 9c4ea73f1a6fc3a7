internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// A network input that is computed once for each prompt: the keys and values that its layers
/// compute from a text.
final class TextTable {
  /// The input of the network.
  let input: PortName
  private let program: Program

  /// - Parameter program: the program of a ``PrecomputedInput``, which reads one chunk of a text.
  init(_ program: Program, input: PortName) {
    self.program = program
    self.input = input
  }

  /// The table of hidden states, one chunk after another.
  func callAsFunction(_ hidden: [Float]) throws(EngineError) -> [Float] {
    var table: [Float] = []
    let chunkLength = program.inputs[0].shape.elementCount
    for start in stride(from: 0, to: hidden.count, by: chunkLength) {
      program.withInput(program.inputs[0].name, as: Float.self) { input in
        for index in input.indices { input[index] = hidden[start + index] }
      }
      try program.run()
      program.read("table", as: Float.self) { output in
        table.reserveCapacity(table.count + output.count)
        for index in output.indices { table.append(output[index]) }
      }
    }
    return table
  }
}

/// A network input that is computed once for each timestep: the time projections of its layers.
final class TimeTable {
  /// The input of the network.
  let input: PortName
  private let program: Program
  private var known = ByteBoundedCache<Key, ContiguousArray<Float>>(
    capacity: 256 << 20, countLimit: 1024)

  private struct Key: Hashable {
    let timestep: Float
    /// The other inputs of the time embedding: pooled text and sizes, a guidance scale.
    let inputs: [Conditioning.Input]
  }

  /// - Parameter program: the program of a ``PrecomputedInput``, which reads `timestep` and the
  ///   other inputs.
  init(_ program: Program, input: PortName) {
    self.program = program
    self.input = input
  }

  /// Whether the time embedding depends on an input.
  func reads(_ name: PortName) -> Bool { program.hasInput(name) }

  /// The table of a timestep.
  ///
  /// - Parameters:
  ///   - timestep: the number that the network reads as its time.
  ///   - conditioning: the other inputs of the time embedding.
  func callAsFunction(
    _ timestep: Float, _ conditioning: Conditioning
  ) throws(EngineError) -> ContiguousArray<Float> {
    let key = Key(
      timestep: timestep, inputs: conditioning.timeInputs.filter { reads($0.name) })
    if let known = known[key] { return known }
    program.withInput("timestep", as: Float.self) { $0[0] = timestep }
    for input in key.inputs {
      program.write(input.name, input.elements.span)
    }
    try program.run()
    let table = program.read("table", as: Float.self) { span in
      ContiguousArray(span.indices.map { span[$0] })
    }
    known.insert(table, for: key, byteCount: 4 * table.count)
    return table
  }
}
