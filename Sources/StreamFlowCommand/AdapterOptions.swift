internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import StreamFlow

/// Options of ControlNets, T2I-Adapters and IP-Adapters, with their images, of `generate`, `edit`
/// and `video`.
struct AdapterOptions: ParsableArguments {
  @Option(
    name: .customLong("adapter"),
    help: ArgumentHelp(
      """
      A ControlNet, T2I-Adapter or IP-Adapter (.safetensors file, or folder in diffusers' layout), \
      and its strength (default: 1); repeat for several.
      """, valueName: "file[:scale]"))
  var adapters: [ScaledFile] = []

  @Option(
    name: .customLong("control"),
    help: ArgumentHelp(
      """
      The control or reference image of the adapter at the same position in the list; without any, \
      the input image itself.
      """, valueName: "image"), completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var controls: [String] = []

  @Option(
    name: .customLong("control-mask"),
    help: ArgumentHelp(
      """
      The area where the IP-Adapter at the same position in the list acts, white on black, or none \
      for everywhere.
      """, valueName: "mask"), completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var controlMasks: [String] = []

  @Option(
    help: """
      Preprocessing of control images: canny, scribble, color, tile or luma-depth, or none. \
      One for all adapters, or one for each.
      """)
  var preprocess: [PreprocessArgument] = []

  @Option(
    help: ArgumentHelp(
      "The range of steps in which adapters act, as fractions such as 0:0.5 (default: 0:1).",
      valueName: "start:end"))
  var adapterRange: RangeArgument?

  @Option(
    help:
      "The distribution of an adapter's strength over the network, such as style of an IP-Adapter.")
  var adapterPreset: String?

  @Option(help: "The folder of an IP-Adapter's image encoder (default: the one beside its file).")
  var imageEncoder: String?

  @Option(
    name: .customLong("adapter-mode"),
    help: ArgumentHelp(
      """
      The kind of control image that the ControlNet at the same position in the list reads, if it \
      is a union of several kinds: its number, from 0, which the publisher lists; or none.
      """, valueName: "number"))
  var modes: [AdapterModeArgument] = []

  @Flag(help: "Let ControlNets act on the conditional prediction alone (guess mode).")
  var guessMode = false

  func validate() throws {
    if adapters.isEmpty,
      !controls.isEmpty || !controlMasks.isEmpty || !preprocess.isEmpty || adapterRange != nil
        || !modes.isEmpty
    {
      throw ValidationError(
        "--control, --control-mask, --preprocess, --adapter-range and --adapter-mode need --adapter"
      )
    }
    if !controls.isEmpty, controls.count != adapters.count {
      throw ValidationError(
        "there are \(adapters.count) of --adapter and \(controls.count) of --control; give each "
          + "adapter its image")
    }
    if !controlMasks.isEmpty, controlMasks.count != adapters.count {
      throw ValidationError(
        "there are \(adapters.count) of --adapter and \(controlMasks.count) of --control-mask; give "
          + "each adapter its mask, or none")
    }
    try AdapterModeArgument.check(modes, of: adapters.count)
    if preprocess.count > 1, preprocess.count != adapters.count {
      throw ValidationError(
        "there are \(adapters.count) of --adapter and \(preprocess.count) of --preprocess; give "
          + "one for all, or one for each")
    }
  }

  /// The model with the adapters.
  func applied(to checkpoint: Checkpoint) throws -> Checkpoint {
    guard !adapters.isEmpty else { return checkpoint }
    return try checkpoint.attaching(
      adapters.indices.map { index in
        try AdapterFile(
          recognizing: adapters[index].path, imageEncoder: imageEncoder, guesses: guessMode,
          mode: modes.isEmpty ? nil : modes[index].mode)
      })
  }

  /// The inputs of the adapters.
  ///
  /// - Parameter hasInput: whether an input image can replace missing control images.
  func inputs(of checkpoint: Checkpoint, hasInput: Bool) throws -> [ControlInput] {
    guard hasInput || !controls.isEmpty || adapters.isEmpty else {
      throw ValidationError("--adapter needs --control, the image that it reads")
    }
    return try adapters.indices.map { index in
      let kind = preprocess.count > 1 ? preprocess[index] : preprocess.first
      return ControlInput(
        checkpoint.adapters[index].name,
        image: controls.isEmpty ? nil : try PixelImage(imageAt: controls[index]),
        preprocessing: kind?.kind.map(ControlImage.init), scale: adapters[index].scale,
        preset: adapterPreset, range: adapterRange?.range ?? 0...1,
        mask: controlMasks.isEmpty || controlMasks[index] == "none"
          ? nil : try ImageMask(drawnAt: controlMasks[index]))
    }
  }
}

/// A file and a scale: `file` or `file:0.8`.
struct ScaledFile: ExpressibleByArgument, Equatable {
  let path: String
  let scale: Float

  init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    if let colon = argument.lastIndex(of: ":"),
      let scale = Float(argument[argument.index(after: colon)...])
    {
      guard colon > argument.startIndex, scale.isFinite else { return nil }
      (path, self.scale) = (String(argument[..<colon]), scale)
    } else {
      (path, scale) = (argument, 1)
    }
  }
}

/// A kind of control image, or none.
struct PreprocessArgument: ExpressibleByArgument, Equatable {
  let kind: ControlImage.Kind?

  init?(argument: String) {
    guard argument != "none" else {
      kind = nil
      return
    }
    guard let kind = ControlImage.Kind(rawValue: argument) else { return nil }
    self.kind = kind
  }

  static var allValueStrings: [String] { ControlImage.Kind.allCases.map(\.rawValue) + ["none"] }
}

/// The kind of control image of a union of ControlNets, or none.
struct AdapterModeArgument: ExpressibleByArgument, Equatable {
  let mode: Int?

  init?(argument: String) {
    guard argument != "none" else {
      mode = nil
      return
    }
    guard let mode = Int(argument), mode >= 0 else { return nil }
    self.mode = mode
  }

  /// - Throws: a `ValidationError` unless there is one for each adapter, or none at all.
  static func check(_ modes: [Self], of adapterCount: Int) throws {
    guard modes.isEmpty || modes.count == adapterCount else {
      throw ValidationError(
        "there are \(adapterCount) of --adapter and \(modes.count) of --adapter-mode; give each "
          + "adapter its mode, or none")
    }
  }
}

/// A range of steps, as fractions: `0:0.5`.
struct RangeArgument: ExpressibleByArgument, Equatable {
  let range: ClosedRange<Double>

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let start = Double(parts[0]), let end = Double(parts[1]),
      (0...1).contains(start), (0...1).contains(end), start < end
    else { return nil }
    range = start...end
  }
}

extension AdapterFile {
  /// An adapter's file, whose kind decides which of the options apply.
  init(recognizing path: String, imageEncoder: String?, guesses: Bool, mode: Int?) throws {
    self.init(path: path)
    self.mode = mode
    let kind = try recognizedKind()
    self.kind = kind
    if kind == .ipAdapter { self.imageEncoder = imageEncoder }
    if kind == .controlNet { self.guesses = guesses }
  }
}
