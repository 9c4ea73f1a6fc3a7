internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import HTTPTypes
internal import StreamFlow

/// A request for images, before its model is loaded.
struct ImageOrder: Sendable {
  /// The format of images in responses.
  enum ResponseFormat: String, CaseIterable, Codable {
    case base64 = "b64_json"
    case url
  }

  /// The model's name; the first model if nil.
  var model: String?
  /// The prompts, with `count` images each.
  private(set) var prompts: [String]
  private(set) var count: Int
  let size: PixelSize?
  /// The factor of the finished images' width and height; nil for none.
  var upscale: Int?
  var sampling: SamplingFields
  let encoding: ImageEncoding
  let responseFormat: ResponseFormat
  let isStreamed: Bool
  let previewCount: Int
  /// The client's own user id.
  let user: String?
  /// Ignored parameters; ``allWarnings(model:_:)`` adds the warnings that depend on the model.
  var warnings: [ResponseWarning] = []
  /// How the input image is edited; nil for image-to-image.
  var editing: OrderEditing?
  /// What the model's adapters read; nil if the request names none.
  var controls: [OrderControl]?
  /// The input image, if any, at the size of the generated images.
  var source: InputImage?
  /// The images that the network reads beside the one that it makes.
  var references: [PixelImage] = []
  /// The maximum number of pixels of each of them; nil for the model's own sizes.
  var referenceArea: Int?
  /// The memory of its images, reserved as long as the order exists.
  var memory = OrderMemory()

  /// The names in stored jobs.
  private enum CodingKeys: String, CodingKey {
    case model, prompts, size, upscale, sampling, encoding, user, warnings, editing, controls
    case count = "n"
    case responseFormat = "response_format"
    case isStreamed = "stream"
    case previewCount = "partial_images"
    case referenceArea = "reference_area"
  }

  /// The number of images.
  var imageCount: Int { prompts.count * count }

  /// Parses the parameters of a request.
  ///
  /// - Parameters:
  ///   - fields: the parameters.
  ///   - limits: the limits of the server.
  ///   - isJob: whether it is a job, which may be larger and have several prompts.
  init(_ fields: inout RequestFields, limits: ServerLimits, isJob: Bool = false) throws(ServerError)
  {
    model = try fields.text("model", limit: 200)
    let most = isJob ? limits.jobImageCount : limits.imageCount
    count = try fields.integer("n", in: 1...most) ?? 1
    size = try PixelSize(&fields, limits: limits)
    upscale = try fields.integer("upscale", in: 2...4)
    if let upscale, !Upscaler.factors.contains(upscale) {
      throw .invalid("'upscale' must be 2 or 4, got \(upscale)", parameter: "upscale")
    }
    encoding = try ImageEncoding(&fields)
    responseFormat =
      try fields.choice("response_format", as: ResponseFormat.self) ?? .base64
    isStreamed = isJob ? false : try fields.flag("stream") ?? false
    previewCount = isJob ? 0 : try fields.integer("partial_images", in: 0...8) ?? 0
    // OpenAI's current name takes precedence over the old one.
    let identifier = try fields.text("safety_identifier", limit: 200)
    let user = try fields.text("user", limit: 200)
    self.user = identifier?.isEmpty == false ? identifier : user
    sampling = try SamplingFields(&fields, limits: limits)
    let several =
      isJob
      ? try fields.texts("prompts", countLimit: most, limit: limits.promptLength) : nil
    guard let prompts = several ?? sampling.prompt.map({ [$0] }), !prompts.isEmpty else {
      throw ServerError(
        .badRequest, "missing_parameter",
        "'prompt' is missing; expected a text that describes the image"
          + (fields.misspelling(of: "prompt").map { ", and '\($0)' is not known" } ?? ""),
        parameter: "prompt")
    }
    self.prompts = prompts
    guard prompts.count * count <= most else {
      throw .invalid(
        "\(prompts.count) prompts with n of \(count) are \(prompts.count * count) images, at most "
          + "\(most) are taken", parameter: "n")
    }
    controls = try OrderControl.all(&fields)
    try fields.readUnsupportedParameters()
    if previewCount > 0, !isStreamed {
      fields.warn(
        ResponseWarning(
          .parameterIgnored, "'partial_images' is ignored unless 'stream' is true",
          parameter: "partial_images"))
    }
    warnings = fields.warnings
  }

  /// The requests of its images; seeds count up for the images of each prompt.
  func requests(of checkpoint: Checkpoint) -> [GenerationRequest] {
    var requests: [GenerationRequest] = []
    var inputs = GenerationRequest(prompt: "")
    (inputs.source, inputs.references) = (source, references)
    inputs.controls = controls?.map(\.input) ?? []
    inputs.recordInputHashes()
    for prompt in prompts {
      var fields = sampling
      fields.prompt = prompt
      var request = fields.request(
        prompt, of: checkpoint, spacing: source == nil ? nil : .uniform)
      (request.source, request.controls) = (inputs.source, inputs.controls)
      (request.references, request.referenceArea) = (inputs.references, referenceArea)
      request.referenceHashes = inputs.referenceHashes
      editing?.apply(to: &request, of: checkpoint, sampling: fields)
      if !requests.isEmpty, sampling.seed == nil { request.seed = requests[0].seed }
      for number in 0..<count {
        var one = request
        one.seed &+= UInt64(number)
        requests.append(one)
      }
    }
    return requests
  }

  /// The same of one of its images, with the seed that it has in the order, which must have one.
  func single(_ index: Int) -> ImageOrder {
    var order = self
    order.prompts = [prompts[index / count]]
    order.count = 1
    order.sampling.seed = sampling.seed.map { $0 &+ UInt64(index % count) }
    return order
  }
}

/// Orders are stored with jobs, without their input image. Stored names and meanings must not
/// change; a new one must be optional, or raise ``JobRequest/version``.
extension ImageOrder: Codable {}

extension PixelSize {
  /// Parses the parameter `size`: `auto`, or such as `512x512`.
  init?(_ fields: inout RequestFields, limits: ServerLimits) throws(ServerError) {
    guard let text = try fields.text("size", limit: 20), text != "auto" else { return nil }
    let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let width = parts[0], let height = parts[1],
      (1...limits.side).contains(width), (1...limits.side).contains(height)
    else {
      throw .invalid(
        "'size' must be auto or as '64x64', at most \(limits.side) a side, got '\(text)'",
        parameter: "size")
    }
    self.init(width: width, height: height)
    guard limits.allows(self) else {
      let sizes = limits.allowedSizes.map { "\($0.width)x\($0.height)" }.joined(separator: ", ")
      throw .invalid(
        "'size' must be auto or one of \(sizes) on this server, got '\(text)'", parameter: "size")
    }
  }
}
