internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Computes network inputs from the images of adapters, once for each image.
final class AdapterEncoder {
  private let checkpoint: Checkpoint
  private let size: PixelSize
  private let provider: EngineProvider
  private var programs: [Key: Program] = [:]
  private var known = ByteBoundedCache<ImageKey, [Conditioning.Input]>(
    capacity: 256 << 20, countLimit: 64)
  /// The inputs of the control images that were read last, found without resampling them again: those
  /// of a live stream stay the same from frame to frame.
  private var latest: [Still] = []
  private static let latestCount = 16
  private static let latestByteCount = 64 << 20
  /// The programs of masks, by the index of their adapter.
  private var masks: [Int: Program] = [:]
  private var knownMasks = ByteBoundedCache<MaskKey, ContiguousArray<Float>>(
    capacity: 16 << 20, countLimit: 64)
  /// The encoder of images for adapters that read latents.
  private var encoder: SourceEncoder?

  private struct Key: Hashable {
    let adapter: Int
    let isUnconditional: Bool
  }

  /// A control image, and what was computed from it.
  private struct Still {
    let key: Key
    let image: PixelImage
    let fit: ImageFit
    let preprocessing: ControlImage?
    let inputs: [Conditioning.Input]
  }

  private struct ImageKey: Hashable {
    let key: Key
    /// Nil for inputs that are the same for every image.
    let image: PixelImage?
  }

  private struct MaskKey: Hashable {
    let adapter: Int
    let mask: ImageMask
  }

  /// - Parameter size: the size of the generated images.
  init(_ checkpoint: Checkpoint, size: PixelSize, provider: EngineProvider) {
    self.checkpoint = checkpoint
    self.size = size
    self.provider = provider
  }

  /// Whether the programs of some adapters are made.
  func isPrepared(for adapters: Set<Int>) -> Bool {
    adapters.allSatisfy { index in
      programs[Key(adapter: index, isUnconditional: false)] != nil
        && programs[Key(adapter: index, isUnconditional: true)] != nil
    }
  }

  /// Makes the programs of some adapters.
  ///
  /// - Throws: an error of a graph or an engine, `unsupported` if an adapter reads latents and the
  ///   autoencoder has no encoder.
  func prepare(
    for adapters: Set<Int>, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    for index in adapters.sorted() {
      let adapter = checkpoint.adapters[index].adapter
      if case .latents = adapter.imageSpace, encoder == nil {
        encoder = try await .make(
          checkpoint, width: size.width, height: size.height, provider: provider)
      }
      if masks[index] == nil, let graph = try adapter.maskGraph(for: size) {
        masks[index] = try await provider.program(for: GraphModule(graph, weightsIdentity: []))
      }
      for isUnconditional in [false, true] {
        let key = Key(adapter: index, isUnconditional: isUnconditional)
        guard programs[key] == nil else { continue }
        let graph = try adapter.imageGraph(for: size, isUnconditional: isUnconditional)
        programs[key] = try await provider.program(
          for: GraphModule(
            graph, weightsIdentity: adapter.weightStores.flatMap(\.identity)))
      }
    }
  }

  /// The inputs of a row.
  ///
  /// - Parameters:
  ///   - control: the image and its strength.
  ///   - index: the adapter's index in the model.
  ///   - source: the request's source, used for a control without an image.
  ///   - isUnconditional: for the row of the unconditional prediction.
  /// - Throws: `requestInvalid` for a preset that the adapter does not have; an `EngineError`.
  /// - Precondition: the adapter was prepared, and there is an image.
  func inputs(
    of control: ControlInput, adapter index: Int, source: InputImage?, isUnconditional: Bool
  ) throws -> [Conditioning.Input] {
    let adapter = checkpoint.adapters[index].adapter
    let key = Key(adapter: index, isUnconditional: isUnconditional)
    guard let program = programs[key], let image = control.image ?? source?.image else {
      preconditionFailure("\(adapter.name) was not prepared for, or has no image")
    }
    var others = [
      Conditioning.Input(
        PortName("\(adapter.name).scales"),
        try adapter.scales(
          control.scale, preset: control.preset, isUnconditional: isUnconditional))
    ]
    if let mask = try mask(of: control, adapter: index) { others.append(mask) }
    // Images that share their pixels are equal without a comparison of each.
    let known = latest.first {
      $0.key == key && $0.fit == control.fit && $0.preprocessing == control.preprocessing
        && $0.image == control.image
    }
    if let known { return known.inputs + others }
    let inputs = try computed(
      reading: image, of: control, key: key, source: source, adapter, program)
    if control.image != nil {
      latest.append(
        Still(
          key: key, image: image, fit: control.fit, preprocessing: control.preprocessing,
          inputs: inputs))
      while latest.count > 1,
        latest.count > Self.latestCount
          || latest.reduce(0, { $0 + $1.image.pixels.count }) > Self.latestByteCount
      { latest.removeFirst() }
    }
    return inputs + others
  }

  /// The mask of a row: ones without one; nil for an adapter without masks.
  private func mask(
    of control: ControlInput, adapter index: Int
  ) throws(EngineError) -> Conditioning.Input? {
    guard let program = masks[index] else { return nil }
    let output = program.outputs[0]
    guard let mask = control.mask else {
      return .init(output.name, [Float](repeating: 1, count: output.shape.elementCount))
    }
    let key = MaskKey(adapter: index, mask: mask)
    if let known = knownMasks[key] { return .init(output.name, known) }
    let fitted = mask.stretched(width: size.width, height: size.height)
    let bytes = ContiguousArray(fitted.coverage.map { $0 < 128 ? UInt8(0) : 255 })
    program.write("mask", bytes.span)
    try program.run()
    let levels = ContiguousArray(program.floats(output.name))
    knownMasks.insert(levels, for: key, byteCount: 4 * levels.count + mask.coverage.count)
    return .init(output.name, levels)
  }

  /// The inputs that are computed from an image.
  private func computed(
    reading image: PixelImage, of control: ControlInput, key: Key, source: InputImage?,
    _ adapter: any ImageAdapter, _ program: Program
  ) throws -> [Conditioning.Input] {
    var read: PixelImage?
    if program.hasInput("pixels") || program.hasInput("latents") {
      // The input image of an edit is fitted as the result is.
      let fit = control.image == nil ? source?.fit ?? control.fit : control.fit
      read = fitted(image, to: adapter, fit: fit)
      if let preprocessing = control.preprocessing { read = read.map(preprocessing.callAsFunction) }
    }
    let imageKey = ImageKey(key: key, image: read)
    if let known = known[imageKey] { return known }
    if let read { try write(read, to: program, of: adapter) }
    if program.hasInput("zeros") {
      program.withInput("zeros", as: Float.self) { zeros in
        for place in zeros.indices { zeros[place] = 0 }
      }
    }
    try program.run()
    let inputs = program.outputs.map { output in
      Conditioning.Input(output.name, program.floats(output.name))
    }
    known.insert(
      inputs, for: imageKey, byteCount: inputs.reduce(0) { $0 + 4 * $1.elements.count })
    return inputs
  }

  private func fitted(
    _ image: PixelImage, to adapter: any ImageAdapter, fit: ImageFit
  ) -> PixelImage {
    let target = adapter.imageSize(for: size)
    switch adapter.resampling {
    case .lanczosStretch:
      return image.resampled(width: target.width, height: target.height, fit: fit)
    case .bicubicMiddle: return image.bicubicMiddle(side: target.width)
    }
  }

  private func write(
    _ image: PixelImage, to program: Program, of adapter: any ImageAdapter
  ) throws(EngineError) {
    switch adapter.imageSpace {
    case .pixels:
      let pixels = ContiguousArray(image.pixels)
      program.write("pixels", pixels.span)
    case .latents(let isShifted):
      guard let encoder else { preconditionFailure("made with the program") }
      let mean = ContiguousArray(try encoder.mean(of: image, isShifted: isShifted).scalars)
      program.write("latents", mean.span)
    }
  }
}
