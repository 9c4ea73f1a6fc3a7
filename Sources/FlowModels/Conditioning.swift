internal import FlowCore
package import FlowGraph

/// The inputs of a row of the network besides sample and timestep, by name.
package final class Conditioning: Sendable {
  /// An input and its elements.
  package struct Input: Hashable, Sendable {
    package let name: PortName
    package let elements: ContiguousArray<Float>

    package init(_ name: PortName, _ elements: some Sequence<Float>) {
      self.name = name
      self.elements = ContiguousArray(elements)
    }
  }

  /// All inputs, the text first.
  ///
  /// The text input contains hidden states, or values that the network's layers compute from them.
  /// Inputs that belong to the timestep are the pooled text and the sizes, or a guidance scale.
  package let inputs: [Input]
  /// All inputs except the text.
  package let timeInputs: [Input]
  /// The number of chunks of the text.
  package let chunkCount: Int

  /// - Parameters:
  ///   - text: the input of attention.
  ///   - timeInputs: the inputs that belong to the timestep.
  ///   - chunkCount: the number of chunks of the text.
  package init(text: Input, timeInputs: [Input], chunkCount: Int) {
    inputs = [text] + timeInputs
    self.timeInputs = timeInputs
    self.chunkCount = chunkCount
  }

  /// The same with more inputs, which belong to one image and not to its prompt.
  package func adding(_ inputs: [Input]) -> Conditioning {
    guard !inputs.isEmpty else { return self }
    return Conditioning(
      inputs: self.inputs + inputs, timeInputs: timeInputs, chunkCount: chunkCount)
  }

  private init(inputs: [Input], timeInputs: [Input], chunkCount: Int) {
    self.inputs = inputs
    self.timeInputs = timeInputs
    self.chunkCount = chunkCount
  }

  /// The elements of an input, or nil if there is none with that name.
  package func elements(of name: PortName) -> ContiguousArray<Float>? {
    inputs.first { $0.name == name }?.elements
  }
}
