internal import FlowCore
internal import FlowGraph
internal import Foundation

/// A ControlNet of Stable Diffusion 1, 2 or XL: `ControlNetModel`.
///
/// A copy of the network's down blocks and middle block reads the sample with the control image
/// added after the first layer. The outputs of its blocks are added to the network's own through
/// layers that are initialized with zeros (Zhang et al., 2023, arXiv:2302.05543, section 3.2).
struct UNetControlNet: ImageAdapter {
  let name: String
  let configuration: UNetControlNetConfiguration
  private let guesses: Bool
  private let store: WeightStore

  init(
    _ file: ControlNetFile, fitting network: UNetConfiguration, _ context: ControlNetContext
  ) throws {
    configuration = try UNetControlNetConfiguration(file.configuration)
    try context.refuseMode()
    try configuration.check(fits: network, context)
    name = context.name
    guesses = context.options.guesses
    store = context.prepared(try configuration.weights(file.weights))
  }

  var weightStores: [WeightStore] { [store] }
  var readsConditioning: Bool { true }
  /// One for each skip connection, and one for the middle block.
  var scaleCount: Int { configuration.skipCount + 1 }
  private var weights: WeightScope { store.root[name] }
  private var hint: PortName { PortName("\(name).hint") }

  func imageSize(for size: PixelSize) -> PixelSize { size }

  func attach(to hooks: inout NetworkHooks) throws(GraphError) {
    let graph = hooks.graph
    let unet = UNet(configuration: configuration.unet, weights: weights)
    let sample = try hooks.networkInput("sample")
    let rows = hooks.rows
    let timestep = try hooks.networkInput("timestep", shape: [rows])
    let text = try hooks.networkInput(
      "hidden",
      shape: [rows, tokenCount(of: hooks.graph), configuration.unet.conditioningWidth])
    let inputs = hooks
    let time = try unet.timeEmbedding(timestep) { (name, shape) throws(GraphError) in
      try inputs.networkInput(name, shape: shape)
    }
    let control = graph.input(
      hint,
      shape: [rows, configuration.unet.levels[0].channels, sample.shape[2], sample.shape[3]])
    let entered = try sample.convolution(weights["conv_in"], padding: 1) + control
    let none = try NetworkHooks(graph, rows: rows, adapters: [])
    let (middle, skips) = try unet.encoded(
      entered, time: .input(time), text: UNet.Text(states: .input(text)), hooks: none)
    let scales = try hooks.scales(of: self, rank: 4)
    for (index, skip) in skips.enumerated() {
      let residual = try residual(skip, weights["controlnet_down_blocks"][index], scales[index])
      hooks.attach(at: .skip(index)) { value, _ throws(GraphError) in try value + residual }
    }
    let residual = try residual(middle, weights["controlnet_mid_block"], scales[skips.count])
    hooks.attach(at: .middle) { value, _ throws(GraphError) in try value + residual }
  }

  /// The tokens of the texts that a network reads, whole or as a table.
  private func tokenCount(of graph: Graph) -> Int {
    let text = graph.input(named: "hidden") ?? graph.input(named: UNet.Tables.textInput)
    return text?.shape[1] ?? 0
  }

  private func residual(
    _ value: Value, _ layer: WeightScope, _ scale: Value
  ) throws(GraphError) -> Value {
    var value = try value.convolution(layer)
    if configuration.isPooled {
      let (rows, channels) = (value.shape[0], value.shape[1])
      let count = value.shape[2] * value.shape[3]
      value = try (value.reshaped([rows * channels, count]).rowSums() * (1 / Float(count)))
        .reshaped([rows, channels, 1, 1])
    }
    return try value * scale
  }

  /// The control image's part of the input: values of 0 to 1 through convolutions that reduce it to
  /// the resolution of latents (`ControlNetConditioningEmbedding`).
  func imageGraph(for size: PixelSize, isUnconditional: Bool) throws(GraphError) -> Graph {
    let graph = Graph(name: "\(name)_hint_\(size.width)x\(size.height)")
    var image = try graph.pixels(size) * (1 / 255)
    if configuration.isBlueFirst {
      let colors = try (0..<3).map { color throws(GraphError) in
        try image.sliced(axis: 1, from: 2 - color, to: 3 - color)
      }
      image = try .concatenated(colors, axis: 1)
    }
    graph.output(
      try image.controlHint(
        weights["controlnet_cond_embedding"], channels: configuration.hintChannels),
      as: hint)
    return graph
  }

  /// The same for all layers; in guess mode from a tenth for the first to all for the middle,
  /// evenly on a logarithmic scale.
  func scales(_ scale: Float, isUnconditional: Bool) -> [Float] {
    let count = scaleCount
    // Both control the conditional prediction alone.
    if isUnconditional, guesses || configuration.isPooled {
      return [Float](repeating: 0, count: count)
    }
    guard guesses, !configuration.isPooled else { return [Float](repeating: scale, count: count) }
    return (0..<count).map { index in
      scale * Float(pow(10, Double(index) / Double(count - 1) - 1))
    }
  }
}
