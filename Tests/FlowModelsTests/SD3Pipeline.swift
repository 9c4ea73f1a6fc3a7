import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels

/// A tiny Stable Diffusion 3 as diffusers saves it, run part by part.
enum SD3Pipeline {
  static let folder = Bundle.module.fixture("pipelines/sd3")

  /// A copy of the model with some text of a file replaced.
  static func edited(
    _ file: String, _ text: String, _ replacement: String, in temporary: TemporaryFolder
  ) throws -> String {
    let copy = "\(temporary.path)/sd3"
    try FileManager.default.copyItem(atPath: folder, toPath: copy)
    let path = "\(copy)/\(file)"
    let old = try String(contentsOfFile: path, encoding: .utf8)
    let new = old.replacingOccurrences(of: text, with: replacement, options: .regularExpression)
    #expect(new != old, "\(text) is not in \(file)")
    try new.write(toFile: path, atomically: true, encoding: .utf8)
    return copy
  }

  /// A copy of the model without T5.
  static func withoutT5(in temporary: TemporaryFolder) throws -> String {
    let copy = try edited(
      "model_index.json", #""text_encoder_3": \[[^\]]*\]"#, #""text_encoder_3": [null, null]"#,
      in: temporary)
    try FileManager.default.removeItem(atPath: "\(copy)/text_encoder_3")
    return copy
  }

  /// What the text encoders make of a prompt.
  static func states(
    of prompt: String, _ checkpoint: Checkpoint, syntax: PromptSyntax = .plain
  ) async throws -> TextStates {
    var encoded: [EncodedText] = []
    for (index, encoding) in checkpoint.textEncoders.enumerated() {
      let weights = checkpoint.weights(of: .textEncoder(index))
      let program = try await Program.shared(
        GraphModule(
          encoding.graph(skippedLayers: 0, weights: weights.root),
          weightsIdentity: weights.identity))
      let chunks = encoding.chunks(of: prompt, syntax: syntax).chunks
      let chunk = try #require(chunks.first)
      for (name, elements) in encoding.inputs(of: chunk) {
        program.write(name, ContiguousArray(elements).span)
      }
      try program.run()
      func floats(_ name: PortName) -> [Float] {
        program.read(name, as: Float.self) { span in span.indices.map { span[$0] } }
      }
      encoded.append(
        EncodedText(
          width: encoding.width, hidden: floats("hidden"),
          pooled: program.outputs.contains { $0.name == "pooled" } ? floats("pooled") : [],
          chunkCount: chunks.count, tokenCount: chunk.endIndex + 1))
    }
    return try checkpoint.family.states(of: encoded)
  }

  /// The velocities of some conditionings at one time, each a row of a batch whose modulation is
  /// read from a table.
  static func velocities(
    _ sample: [Float], _ timestep: Float, _ texts: [TextStates], size: PixelSize,
    _ checkpoint: Checkpoint
  ) async throws -> [[Float]] {
    let family = checkpoint.family
    let weights = checkpoint.networkWeights
    let shape = BatchShape(
      rows: texts.count, height: size.height / 4, width: size.width / 4,
      tokens: checkpoint.tokenCount)
    let precomputed = try family.precomputedInputs(shape, only: nil, weights: weights.root)
    let network = try await Program.shared(
      GraphModule(
        family.network(
          shape, precomputed: Set(precomputed.map(\.name)), adapters: [], weights: weights.root),
        weightsIdentity: weights.identity))
    let table = try await Program.shared(
      GraphModule(precomputed[0].graph, weightsIdentity: weights.identity))
    for (row, text) in texts.enumerated() {
      let conditioning = family.conditioning(of: text, guidanceScale: 1, size: size)
      table.write("timestep", ContiguousArray([timestep]).span)
      let pooled = try #require(conditioning.elements(of: "pooled"))
      table.write("pooled", pooled.span)
      try table.run()
      let modulation = table.read("table", as: Float.self) { span in
        ContiguousArray(span.indices.map { span[$0] })
      }
      network.write(precomputed[0].name, row: row, modulation.span)
      network.write("sample", row: row, ContiguousArray(sample).span)
      let hidden = try #require(conditioning.elements(of: "hidden"))
      network.write("hidden", row: row, hidden.span)
    }
    try network.run()
    let all = network.read("output", as: Float.self) { span in span.indices.map { span[$0] } }
    return texts.indices.map { Array(all[$0 * sample.count..<($0 + 1) * sample.count]) }
  }

  private static func autoencoder(_ checkpoint: Checkpoint) -> Autoencoder {
    Autoencoder(
      configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root)
  }

  private static func program(
    _ graph: Graph, of checkpoint: Checkpoint
  ) async throws -> sending Program {
    try await Program.shared(
      GraphModule(graph, weightsIdentity: checkpoint.autoencoderWeights.identity))
  }

  /// The pixels of latents.
  static func pixels(
    of sample: [Float], shape: Shape, _ checkpoint: Checkpoint
  ) async throws -> [Float] {
    let graph = try autoencoder(checkpoint).decoderGraph(
      rows: 1, height: shape[1], width: shape[2])
    let decoder = try await program(graph, of: checkpoint)
    decoder.write("latents", ContiguousArray(sample).span)
    try decoder.run()
    return decoder.read("pixels", as: UInt8.self) { span in span.indices.map { Float(span[$0]) } }
  }

  /// The latents of pixels: their mean and their spread.
  static func encoded(
    _ pixels: [Float], shape: Shape, _ checkpoint: Checkpoint
  ) async throws -> (mean: [Float], deviation: [Float]) {
    let graph = try autoencoder(checkpoint).encoderGraph(
      rows: 1, height: shape[1], width: shape[2])
    let encoder = try await program(graph, of: checkpoint)
    encoder.withInput("pixels", as: UInt8.self) { span in
      for index in span.indices { span[index] = UInt8(pixels[index]) }
    }
    try encoder.run()
    func floats(_ name: PortName) -> [Float] {
      encoder.read(name, as: Float.self) { span in span.indices.map { span[$0] } }
    }
    return (floats("latents"), floats("deviation"))
  }
}
