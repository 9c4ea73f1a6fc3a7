public import FlowCore
internal import FlowModels

/// The input of an adapter for one image: a control image, or a reference.
///
/// ```swift
/// let checkpoint = try Checkpoint.named("sd15").attaching([AdapterFile(path: "canny.safetensors")])
/// var request = checkpoint.request("a house in the snow")
/// request.controls = [ControlInput(image: edges, scale: 0.8)]
/// ```
public struct ControlInput: Hashable, Sendable {
  /// The adapter's name; nil if the model has only one.
  public var adapter: String?
  /// The image, of any size; nil for the request's source.
  public var image: PixelImage?
  /// The preprocessing of the image for the adapter; nil for none.
  public var preprocessing: ControlImage?
  /// The strength, 0 to 4; 1 is the strength in the adapter's training.
  public var scale: Float
  /// The distribution of the strength over the network, such as `style` of an IP-Adapter; nil for
  /// evenly.
  public var preset: String?
  /// The start and the end of its effect, as fractions of the steps, 0 to 1.
  ///
  /// It acts in step i of n if `i / n` is at least the start and `(i + 1) / n` is at most the end,
  /// as in diffusers.
  public var range: ClosedRange<Double>
  /// How the image is fitted to the adapter's size.
  public var fit: ImageFit
  /// The area of the generated image where an IP-Adapter acts; nil for everywhere.
  ///
  /// It acts where the mask covers half of a pixel or more. A mask of another size is stretched to
  /// the image.
  public var mask: ImageMask?
  /// A hash that identifies the image in the settings of the generated image, without spaces; nil
  /// records none (`GenerationRequest.recordInputHashes`).
  public var hash: String?

  /// Creates an adapter's input.
  public init(
    _ adapter: String? = nil, image: PixelImage? = nil,
    preprocessing: ControlImage? = nil, scale: Float = 1, preset: String? = nil,
    range: ClosedRange<Double> = 0...1,
    fit: ImageFit = ImageFit(), mask: ImageMask? = nil
  ) {
    self.adapter = adapter
    self.image = image
    self.preprocessing = preprocessing
    self.scale = scale
    self.preset = preset
    self.range = range
    self.fit = fit
    self.mask = mask
  }

  /// The name of its image and its mask in settings; nil for the request's source without a mask.
  package var inputHash: String? {
    guard image != nil || mask != nil else { return nil }
    return (image?.settingsHash ?? "") + (mask.map { "+\($0.settingsHash)" } ?? "")
  }

  /// Whether it acts in a step.
  func acts(inStep step: Int, of count: Int) -> Bool {
    Double(step) / Double(count) >= range.lowerBound
      && Double(step + 1) / Double(count) <= range.upperBound
  }
}

extension Checkpoint {
  /// The index in the model of each control's adapter.
  ///
  /// - Throws: `requestInvalid` for a control whose adapter does not exist, that has no image, or
  ///   whose values are out of range.
  func adapterIndices(of request: GenerationRequest) throws(ModelError) -> [Int] {
    func refused(_ message: String) -> ModelError {
      ModelError(code: .requestInvalid, message: message, settings: [.adapters])
    }
    let names = adapters.map { "'\($0.name)'" }.joined(separator: ", ")
    var indices: [Int] = []
    for control in request.controls {
      let index: Int
      if let name = control.adapter {
        guard let found = adapters.firstIndex(where: { $0.name == name }) else {
          throw refused(
            "the model has no adapter '\(name)'; it has \(adapters.isEmpty ? "none" : names)")
        }
        index = found
      } else {
        guard adapters.count == 1 else {
          throw refused(
            adapters.isEmpty
              ? "the request has a control image, and the model no adapter; attach one"
              : "the model has several adapters, \(names); name the one of each control image")
        }
        index = 0
      }
      guard !indices.contains(index) else {
        throw refused("the adapter '\(adapters[index].name)' has two images; one is read")
      }
      guard control.image != nil || request.source != nil else {
        throw refused("the control of '\(adapters[index].name)' has no image")
      }
      guard control.mask == nil || adapters[index].readsMask else {
        throw refused(
          "the adapter '\(adapters[index].name)' is a \(adapters[index].kind.rawValue), which reads "
            + "no mask; IP-Adapters do")
      }
      guard (0...4).contains(control.scale) else {
        throw refused("the scale of an adapter is 0 to 4, got \(control.scale)")
      }
      guard (0...1).contains(control.range.lowerBound), (0...1).contains(control.range.upperBound)
      else {
        throw refused("an adapter acts within 0 to 1 of the steps, got \(control.range)")
      }
      _ = try adapters[index].adapter.scales(
        1, preset: control.preset, isUnconditional: false)
      indices.append(index)
    }
    return indices
  }

  /// The structure of a request's network inputs.
  func structure(of request: GenerationRequest) throws(ModelError) -> NetworkStructure {
    NetworkStructure(
      adapters: try adapterIndices(of: request).sorted(),
      references: try referenceLatents(of: request),
      skippableLayers: Set(request.skipLayerGuidance?.layers ?? []).sorted())
  }

  /// Whether an adapter of a structure reads the text and the timestep itself.
  func readsConditioning(_ structure: NetworkStructure) -> Bool {
    structure.adapters.contains { adapters[$0].adapter.readsConditioning }
  }
}
