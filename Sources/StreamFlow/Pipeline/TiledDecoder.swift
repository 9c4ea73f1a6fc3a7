internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Decodes images that are too large to be decoded at once: stage by stage, tile by tile.
///
/// The full tensors between stages are held here, so that every normalization has the whole image's
/// statistics before the next stage begins, and only margins are computed twice.
final class TiledDecoder {
  private let stages: [Stage]
  private let weightsIdentity: [String]
  private let provider: EngineProvider

  /// A stage, its tiling, and its program once it is made.
  private final class Stage {
    let layout: DecoderStage
    let rows: Tiling
    let columns: Tiling
    var program: Program?

    init(_ layout: DecoderStage, rows: Tiling, columns: Tiling) {
      (self.layout, self.rows, self.columns) = (layout, rows, columns)
    }
  }

  /// - Parameters:
  ///   - autoencoder: the autoencoder whose decoder runs.
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - side: the side of a tile in pixels, without its margins.
  ///   - weightsIdentity: the identity of its weights.
  ///   - provider: makes programs.
  init(
    _ autoencoder: Autoencoder, height: Int, width: Int, side: Int, weightsIdentity: [String],
    provider: EngineProvider
  ) {
    self.weightsIdentity = weightsIdentity
    self.provider = provider
    var scale = 1
    let factor = autoencoder.configuration.factor
    stages = autoencoder.decoderStages.map { layout in
      // A tile's side in pixels, converted to positions of this stage.
      let own = layout.margin == nil ? Int.max : max(side * scale / factor, 1)
      let margin = layout.margin ?? 0
      defer { scale *= layout.enlargement }
      return Stage(
        layout, rows: Tiling(length: height * scale, own: own, margin: margin),
        columns: Tiling(length: width * scale, own: own, margin: margin))
    }
  }

  /// Makes the programs of all stages.
  func prepare(isolation: isolated (any Actor)? = #isolation) async throws {
    for stage in stages where stage.program == nil {
      let graph = try stage.layout.graph(
        height: stage.rows.windowLength, width: stage.columns.windowLength)
      stage.program = try await provider.program(
        for: GraphModule(graph, weightsIdentity: weightsIdentity))
    }
  }

  /// Decodes; nil for an image with NaN or infinity.
  func decode(_ latents: Latents) throws -> PixelImage? {
    var hidden = FeatureMap(latents)
    var kept = FeatureMap.nothing
    var sums = ChannelSums(channels: 0)
    for stage in stages.dropLast() {
      let layout = stage.layout
      var output = FeatureMap.nothing
      if case .joined = layout.use {
        swap(&output, &kept)
      } else {
        output = FeatureMap(
          channels: layout.outputChannels, height: hidden.height * layout.enlargement,
          width: hidden.width * layout.enlargement)
      }
      sums = try run(stage, on: hidden, sums: sums, into: &output)
      if case .kept = layout.use { swap(&kept, &hidden) }
      swap(&hidden, &output)
    }
    return try picture(of: hidden, sums: sums)
  }

  /// Runs a stage over all tiles.
  ///
  /// A stage that ends a residual block reads the tensor that was stored at the block's beginning,
  /// and writes its own into the same tensor: a position that one tile has written is not read by
  /// any other.
  private func run(
    _ stage: Stage, on input: borrowing FeatureMap, sums: ChannelSums,
    into output: inout FeatureMap
  ) throws -> ChannelSums {
    let layout = stage.layout
    var keptChannels: Int?
    if case .joined(let channels) = layout.use { keptChannels = channels }
    let program = program(of: stage)
    let placeCount = input.height * input.width
    write(sums, over: placeCount, to: program, layout)
    output.resize(channels: max(layout.outputChannels, keptChannels ?? 0))
    var added = ChannelSums(channels: layout.outputChannels)
    for row in stage.rows.tiles {
      for column in stage.columns.tiles {
        let window = FeatureMap.Area(rows: row.window, columns: column.window)
        program.withInput("hidden", as: Float.self) { input.copy(window, to: &$0) }
        if let keptChannels {
          program.withInput("kept", as: Float.self) {
            output.copy(window, channels: keptChannels, to: &$0)
          }
        }
        try program.run()
        let own = FeatureMap.Area(rows: row.own, columns: column.own)
        program.read("hidden_next", as: Float.self) { tile in
          output.paste(
            tile, covering: window.enlarged(layout.enlargement),
            taking: own.enlarged(layout.enlargement), adding: &added)
        }
      }
    }
    output.resize(channels: layout.outputChannels)
    return added
  }

  /// Runs the last stage, whose tiles are pixels.
  private func picture(of input: borrowing FeatureMap, sums: ChannelSums) throws -> PixelImage? {
    let stage = stages[stages.count - 1]
    let program = program(of: stage)
    let (height, width) = (input.height, input.width)
    write(sums, over: height * width, to: program, stage.layout)
    var canvas = PixelCanvas(height: height, width: width)
    for row in stage.rows.tiles {
      for column in stage.columns.tiles {
        let window = FeatureMap.Area(rows: row.window, columns: column.window)
        program.withInput("hidden", as: Float.self) { input.copy(window, to: &$0) }
        try program.run()
        guard program.read("sums", as: Float.self, { $0[0].isFinite }) else {
          return nil
        }
        let own = FeatureMap.Area(rows: row.own, columns: column.own)
        program.read("pixels", as: UInt8.self) { tile in
          canvas.paste(tile, covering: window, taking: own)
        }
      }
    }
    return canvas.image
  }

  private func write(
    _ sums: ChannelSums, over placeCount: Int, to program: Program, _ layout: DecoderStage
  ) {
    guard let groups = layout.normGroups else { return }
    let (means, inverses) = sums.statistics(
      groups: groups, placeCount: placeCount, epsilon: FullAutoencoder.epsilon)
    for (name, values) in zip(DecoderStage.statisticsInputs, [means, inverses]) {
      program.write(name, ContiguousArray(values).span)
    }
  }

  private func program(of stage: Stage) -> Program {
    guard let program = stage.program else {
      preconditionFailure("a stage has no program: prepare() was not called")
    }
    return program
  }
}

extension FeatureMap.Area {
  /// The same area where each position becomes a square of positions.
  func enlarged(_ factor: Int) -> Self {
    Self(
      rows: rows.lowerBound * factor..<rows.upperBound * factor,
      columns: columns.lowerBound * factor..<columns.upperBound * factor)
  }
}
