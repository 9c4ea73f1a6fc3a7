internal import FlowCore
package import FlowGraph

/// What the network reads of a row besides sample and time, by the names of its inputs.
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
  /// The text is its hidden states, or what the network's layers make of them. What is read with the
  /// time is the pooled text and the sizes, or a guidance scale.
  package let inputs: [Input]
  /// All but the text.
  package let timeInputs: [Input]
  /// The chunks of the text.
  package let chunkCount: Int

  /// - Parameters:
  ///   - text: what attention reads.
  ///   - timeInputs: what is read with the time.
  ///   - chunkCount: the chunks of the text.
  package init(text: Input, timeInputs: [Input], chunkCount: Int) {
    inputs = [text] + timeInputs
    self.timeInputs = timeInputs
    self.chunkCount = chunkCount
  }

  /// The elements of an input, or nil where there is none of that name.
  package func elements(of name: PortName) -> ContiguousArray<Float>? {
    inputs.first { $0.name == name }?.elements
  }
}
