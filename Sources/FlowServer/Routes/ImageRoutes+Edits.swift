internal import FlowCore
internal import HTTPTypes
internal import StreamFlow

extension ImageRoutes {
  /// The uploaded images of an edit.
  struct Upload: Sendable {
    /// The images: the one to start from, or references.
    let files: [[UInt8]]
    /// Where it is repainted: transparent, or white in an opaque file; nil for everywhere.
    let mask: [UInt8]?
    let maskBlur: Double
    let strength: Double?
    let fit: ImageFit
    /// Whether the client chose the fit.
    let hasFit: Bool
    /// Whether the images are references of the network; nil for what the model does.
    let isInstruction: Bool?
    let referenceArea: Int?

    /// Whether the model must be asked what the images are.
    var mayBeReferences: Bool { isInstruction ?? true || files.count > 1 }
  }

  /// An image file of an edit.
  struct File {
    /// `image`, `image[]` or `mask`.
    let name: String
    let content: [UInt8]
  }

  /// Parses the form of an edit.
  static func edit(
    _ form: MultipartForm, limits: ServerLimits, memory: MemoryReservation? = nil,
    isJob: Bool = false
  ) throws -> (order: ImageOrder, upload: Upload) {
    var fields = try RequestFields(form: form, limits: limits.json)
    let parts = form.parts.filter { $0.fileName != nil }
    func isOfAdapter(_ name: String) -> Bool { name.hasPrefix("controls[") }
    let known = ["image", "image[]", "mask"]
    if let other = parts.first(where: { !known.contains($0.name) && !isOfAdapter($0.name) }) {
      throw ServerError.invalid(
        "unknown file '\(other.name)'; the image is 'image', its mask 'mask', the image of the first "
          + "adapter 'controls[0]'", parameter: other.name)
    }
    if let name = known.first(where: fields.has), !parts.contains(where: { $0.name == name }) {
      throw ServerError.invalid(
        "'\(name)' must be a file: a part with a file name, as `curl -F \(name)=@photo.png` "
          + "sends it", parameter: name)
    }
    // The content of files is copied.
    try memory?.grow(by: parts.reduce(0) { $0 + $1.content.count })
    let files = parts.filter { !isOfAdapter($0.name) }.map {
      File(name: $0.name, content: Array($0.content))
    }
    var (order, upload) = try edit(&fields, files: files, limits: limits, isJob: isJob)
    order.controls = try (order.controls ?? []).merged(with: form)
    if order.controls?.isEmpty == true { order.controls = nil }
    return (order, upload)
  }

  /// Parses the JSON of an edit, whose images are in base64: `image` and `mask` as texts, or `images` and
  /// `mask` as objects with an `image_url`.
  static func edit(
    _ fields: inout RequestFields, limits: ServerLimits, isJob: Bool = false
  ) throws -> (order: ImageOrder, upload: Upload) {
    var files: [File] = []
    if let image = try fields.file("image") { files.append(File(name: "image", content: image)) }
    for (index, var image) in (try fields.objects("images", limit: 64) ?? []).enumerated() {
      files.append(
        File(name: "image", content: try DataURL.bytes(of: &image, in: "images[\(index)]")))
    }
    if fields.isObject("mask") {
      if var mask = try fields.object("mask") {
        files.append(File(name: "mask", content: try DataURL.bytes(of: &mask, in: "mask")))
      }
    } else if let mask = try fields.file("mask") {
      files.append(File(name: "mask", content: mask))
    }
    return try edit(&fields, files: files, limits: limits, isJob: isJob)
  }

  private static func edit(
    _ fields: inout RequestFields, files: [File], limits: ServerLimits, isJob: Bool
  ) throws -> (order: ImageOrder, upload: Upload) {
    var order = try ImageOrder(&fields, limits: limits, isJob: isJob)
    try fields.readIgnored(
      "input_fidelity", of: ["low", "high"], remedy: "set 'strength' instead")
    let strength = try fields.number("strength", in: 0...1, above: true)
    let hasFit = fields.has("fit")
    let fit = try fields.choice("fit", as: ImageFit.Kind.self) ?? .cover
    let blur = try fields.number("mask_blur", in: 0...64)
    let area = try fields.integer("reference_area", in: 1...limits.side * limits.side)
    let masks = files.filter { $0.name == "mask" }
    let isInstruction = try Self.isInstruction(
      &fields, isPlain: strength == nil && masks.isEmpty)
    if area != nil, isInstruction == false { throw Self.areaWithoutReferences }
    if isInstruction != true {
      order.editing = try OrderEditing(&fields, limits: limits, strength: strength)
    }
    try fields.checkAllRead()
    order.warnings = fields.warnings
    let images = files.filter { $0.name != "mask" }
    guard !images.isEmpty else {
      throw ServerError(
        .badRequest, "missing_parameter",
        "'image' is missing; expected a PNG or JPEG file, or 'images' of a JSON body",
        parameter: "image")
    }
    guard masks.count <= 1 else {
      throw ServerError.invalid(
        "one 'mask' is supported, got \(masks.count)", parameter: "mask")
    }
    guard blur == nil || !masks.isEmpty else {
      throw ServerError.invalid(
        "'mask_blur' softens the edge of a mask; send the file 'mask'", parameter: "mask_blur")
    }
    return (
      order,
      Upload(
        files: images.map(\.content), mask: masks.first?.content, maskBlur: blur ?? 2,
        strength: strength, fit: ImageFit(fit), hasFit: hasFit, isInstruction: isInstruction,
        referenceArea: area)
    )
  }

  /// The error of an area where no image is a reference.
  static var areaWithoutReferences: ServerError {
    .invalid(
      "'reference_area' is the area of references, which 'method' instruct reads; remove it",
      parameter: "reference_area")
  }

  /// Whether images are references: true for the method `instruct`, false where anything asks for
  /// another method, nil for what the model does.
  ///
  /// - Parameter isPlain: whether there is neither a strength nor a mask.
  private static func isInstruction(
    _ fields: inout RequestFields, isPlain: Bool
  ) throws(ServerError) -> Bool? {
    guard try fields.text("method", limit: 100) == "instruct" else {
      return fields.has("method") || fields.has("source_prompt") || !isPlain ? false : nil
    }
    if fields.has("source_prompt") {
      throw .invalid(
        "'method' instruct reads no 'source_prompt'; remove it", parameter: "source_prompt")
    }
    guard isPlain else {
      throw .invalid(
        "'method' instruct reads whole images, without 'strength' and 'mask'; remove them",
        parameter: "method")
    }
    return true
  }
}
