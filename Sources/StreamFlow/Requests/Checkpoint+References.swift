internal import FlowCore
public import FlowModels

extension Checkpoint {
  /// The maximum number of reference images of a request; 0 if the network reads none.
  public var referenceLimit: Int { family.references?.limit ?? 0 }

  /// Checks a request's reference images.
  ///
  /// - Throws: `requestInvalid` for a model that reads none or fewer, and for an image that is too
  ///   small or too narrow.
  func checkReferences(of request: GenerationRequest) throws(ModelError) {
    if let area = request.referenceArea, area < 1 {
      throw refused("the area of reference images is 1 pixel or more, got \(area)")
    }
    guard !request.references.isEmpty else { return }
    try checkReferenceCount(request.references.count)
    _ = try referenceLatents(of: request)
  }

  /// Checks that the network reads a number of reference images, 1 or more.
  ///
  /// - Throws: `requestInvalid` for a model that reads none or fewer.
  package func checkReferenceCount(_ count: Int) throws(ModelError) {
    guard referenceLimit > 0 else {
      throw refused(
        "the network of \(name) reads no reference images, and the request has "
          + "\(count); use a model that edits by instruction (FLUX.1 Kontext, FLUX.2), or an adapter"
      )
    }
    guard count <= referenceLimit else {
      throw refused(
        "the network of \(name) reads at most \(referenceLimit) reference "
          + "\(referenceLimit == 1 ? "image" : "images"), got \(count)")
    }
  }

  /// The sizes of the latents of a request's reference images.
  func referenceLatents(of request: GenerationRequest) throws(ModelError) -> [LatentSize] {
    let factor = autoencoder.factor
    var sizes: [LatentSize] = []
    for image in request.references {
      let size = try referenceSize(of: image, area: request.referenceArea).encoded
      sizes.append(LatentSize(height: size.height / factor, width: size.width / factor))
    }
    return sizes
  }

  /// The size at which a reference image is encoded.
  func referenceSize(
    of image: PixelImage, area: Int?
  ) throws(ModelError) -> ReferenceReading.Size {
    guard let reading = family.references else {
      throw refused("the network of \(name) reads no reference images")
    }
    return try reading.size(
      of: PixelSize(width: image.width, height: image.height), area: area, multiple: sizeMultiple)
  }

  private func refused(_ message: String) -> ModelError {
    ModelError(code: .requestInvalid, message: message, settings: [.references])
  }
}
