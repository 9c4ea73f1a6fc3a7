internal import FlowCore
internal import HTTPTypes
internal import StreamFlow

extension ImageRoutes {
  /// The uploaded images of an edit.
  struct Upload: Sendable {
    let file: [UInt8]
    /// Where it is repainted: transparent, or white in an opaque file; nil for everywhere.
    let mask: [UInt8]?
    let maskBlur: Double
    let strength: Double?
    let fit: ImageFit
  }

  /// Parses the form of an edit.
  static func edit(
    _ form: MultipartForm, limits: ServerLimits, memory: MemoryReservation? = nil,
    isJob: Bool = false
  ) throws -> (order: ImageOrder, upload: Upload) {
    var fields = try RequestFields(form: form, limits: limits.json)
    var order = try ImageOrder(&fields, limits: limits, isJob: isJob)
    try fields.readIgnored(
      "input_fidelity", of: ["low", "high"], remedy: "set 'strength' instead")
    let strength = try fields.number("strength", in: 0...1, above: true)
    let fit = try fields.choice("fit", as: ImageFit.Kind.self) ?? .cover
    let blur = try fields.number("mask_blur", in: 0...64)
    order.editing = try OrderEditing(&fields, limits: limits, strength: strength)
    if let name = ["image", "image[]", "mask"].first(where: fields.has) {
      throw ServerError.invalid(
        "'\(name)' must be a file: a part with a file name, as `curl -F \(name)=@photo.png` "
          + "sends it", parameter: name)
    }
    try fields.checkAllRead()
    order.warnings = fields.warnings
    let files = form.parts.filter { $0.fileName != nil }
    if let other = files.first(where: { !["image", "image[]", "mask"].contains($0.name) }) {
      throw ServerError.invalid(
        "unknown file '\(other.name)'; the image is 'image', its mask 'mask'",
        parameter: other.name)
    }
    let images = files.filter { $0.name != "mask" }
    let masks = files.filter { $0.name == "mask" }
    guard let file = images.first else {
      throw ServerError(
        .badRequest, "missing_parameter", "'image' is missing; expected a PNG or JPEG file",
        parameter: "image")
    }
    guard images.count == 1 else {
      throw ServerError.invalid(
        "one 'image' is supported, got \(images.count); send the one to start from",
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
    // These copy the parts of the body.
    try memory?.grow(by: (images + masks).reduce(0) { $0 + $1.content.count })
    return (
      order,
      Upload(
        file: Array(file.content), mask: masks.first.map { Array($0.content) },
        maskBlur: blur ?? 2, strength: strength, fit: ImageFit(fit))
    )
  }
}
