internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import StreamFlow

/// Mask options of `edit` and `video`.
struct MaskOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Repaint where this image is white, and keep the rest; alpha repaints where the input itself \
      is transparent.
      """, valueName: "file"), completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var mask: String?

  @Flag(help: "Repaint where the mask is black instead.")
  var invertMask = false

  @Option(help: "Softness of the mask's edge in pixels; the transition lies inside the mask.")
  var maskBlur = 2.0

  func validate() throws {
    guard maskBlur >= 0, maskBlur <= 1024 else {
      throw ValidationError("--mask-blur must be 0 to 1024 pixels, got \(maskBlur)")
    }
    guard !invertMask || mask != nil else { throw ValidationError("--invert-mask needs --mask") }
  }

  /// The mask of an input; nil if none was requested.
  ///
  /// - Parameter input: the file of the input, for its alpha; nil where inputs have no file.
  func mask(of input: String?) throws -> ImageMask? {
    guard let mask else { return nil }
    var read: ImageMask
    if mask == "alpha" {
      guard let input else {
        throw ValidationError("--mask alpha needs input images; name a mask file")
      }
      read = try ImageMask(transparencyAt: input)
      guard !read.isEmpty else {
        throw MediaError(
          code: .imageInvalid,
          message: "'\(input)' has no transparent pixels, which --mask alpha repaints")
      }
    } else {
      read = try ImageMask(drawnAt: mask)
    }
    return invertMask ? read.inverted : read
  }
}

/// Editing options of `edit` and `video`.
struct MethodOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Editing method: instruct (the network reads the input as a reference, and the prompt is an \
      instruction), sdedit (image-to-image), or one that reads what the input shows: \
      \(EditingMethod.spellings) (default: instruct for a model that reads references, where \
      neither --strength nor a mask is given, else sdedit, or the model's with --source-prompt).
      """, valueName: "method"))
  var method: EditMethodArgument?

  @Option(help: "What the input shows; the prompt says what it is to show.")
  var sourcePrompt: String?

  func validate() throws {
    if case .method(let method)? = method, method.readsSourcePrompt, sourcePrompt == nil {
      throw ValidationError("--method \(method.name) needs --source-prompt: what the input shows")
    }
    if case .method(let method)? = method, !method.readsSourcePrompt, sourcePrompt != nil {
      throw ValidationError("--method \(method.name) reads no --source-prompt; omit it")
    }
    if let method, method == .imageToImage || method == .instruction, sourcePrompt != nil {
      throw ValidationError(
        "--method \(method.defaultValueDescription) reads no --source-prompt; omit it")
    }
  }

  /// The method on a model; nil for image-to-image.
  func defaults(of checkpoint: Checkpoint) -> EditingDefaults? {
    switch method {
    case .method(let method): checkpoint.editingDefaults(method)
    case .imageToImage, .instruction: nil
    case nil: sourcePrompt.map { _ in checkpoint.defaultEditing }
    }
  }
}

/// An editing method as an option.
enum EditMethodArgument: ExpressibleByArgument, Equatable {
  case imageToImage
  /// The network reads the input as a reference.
  case instruction
  case method(EditingMethod)

  init?(argument: String) {
    if argument == "sdedit" {
      self = .imageToImage
    } else if argument == "instruct" {
      self = .instruction
    } else if let method = EditingMethod(rawValue: argument) {
      self = .method(method)
    } else {
      return nil
    }
  }

  var defaultValueDescription: String {
    switch self {
    case .imageToImage: "sdedit"
    case .instruction: "instruct"
    case .method(let method): method.rawValue
    }
  }
}

/// The region of an input that the network sees, for `edit` alone.
struct RegionOptions: ParsableArguments {
  @Option(
    help: """
      Repaint only the mask's surroundings, this many pixels of the input around it, at the full \
      resolution, and paste them back; the result has the input's size.
      """)
  var maskPadding: Int?

  @Option(
    help: ArgumentHelp(
      "Extend the image at its edges (outpainting), as in left=64,bottom=32.",
      valueName: "edge=pixels,..."))
  var extend: MarginsArgument?

  func validate() throws {
    if let maskPadding, maskPadding < 0 {
      throw ValidationError("--mask-padding must be 0 or more, got \(maskPadding)")
    }
    if maskPadding != nil, extend != nil {
      throw ValidationError("--extend and --mask-padding are mutually exclusive; choose one")
    }
  }
}

/// Margins as an option: `left=64,top=0`.
struct MarginsArgument: ExpressibleByArgument, Equatable {
  let margins: ImageMargins

  init?(argument: String) {
    var margins = ImageMargins()
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let pair = part.split(separator: "=", maxSplits: 1)
      guard pair.count == 2, let count = Int(pair[1]), (0...16384).contains(count) else {
        return nil
      }
      switch pair[0] {
      case "left": margins.left = count
      case "top": margins.top = count
      case "right": margins.right = count
      case "bottom": margins.bottom = count
      default: return nil
      }
    }
    guard margins != ImageMargins() else { return nil }
    self.margins = margins
  }

  var defaultValueDescription: String {
    let edges = [
      ("left", margins.left), ("top", margins.top), ("right", margins.right),
      ("bottom", margins.bottom),
    ]
    return edges.filter { $0.1 > 0 }.map { "\($0.0)=\($0.1)" }.joined(separator: ",")
  }
}
