internal import FlowCore
internal import FlowImage
package import Foundation
internal import StreamFlow

/// Images to be made by an ``ImageService``: an order, or some images of one.
package struct ServiceOrder: Sendable {
  /// How urgent the images are.
  package enum Urgency: String, Codable, Sendable, CaseIterable {
    /// Somebody watches them come.
    case watched
    /// A client waits for all of them.
    case awaited
    /// They belong to a job.
    case background
  }

  let order: ImageOrder
  /// Which of the order's images; all where nil.
  let indices: [Int]?
  /// The client that they belong to; clients take turns.
  package let client: String
  /// What the order is called in reports.
  package let name: String
  /// How urgent the images are.
  package let urgency: Urgency
  /// When nobody will want them any more.
  package let deadline: Date?

  init(
    _ order: ImageOrder, indices: [Int]?, client: String, name: String, urgency: Urgency,
    deadline: Date?
  ) {
    (self.order, self.indices, self.client) = (order, indices, client)
    (self.name, self.urgency, self.deadline) = (name, urgency, deadline)
  }

  /// The indices of its images in the order.
  package var imageIndices: [Int] { indices ?? Array(0..<order.imageCount) }

  /// The model's name; the first one's where nil.
  package var model: String? { order.model }
}

/// An order on its way to another process: its model and seed are fixed, so that every image is
/// determined wherever and however often it is made.
package struct PortableOrder: Sendable {
  private let request: JobRequest
  /// The file of the images that they start from, and that adapters and the network read, if any.
  package let input: [UInt8]?

  /// The version of what ``json(ofImage:)`` writes.
  package var version: Int { request.version }

  /// Fixes what an order leaves open.
  ///
  /// - Parameters:
  ///   - work: the order.
  ///   - model: the name of the model that it means.
  package init(_ work: ServiceOrder, model: String) throws {
    var request = try JobRequest(work.order, model: model)
    let controls = request.replaceControlFiles { _, _ in nil }
    let references = request.takeReferences()
    self.request = request
    input = try PortableImages(
      input: try work.order.source.map { Data(try $0.image.png()) }, controls: controls,
      references: references
    ).file()
  }

  /// What is known to be wrong with the order before its model is asked; nil where nothing is.
  package var warnings: [ResponseWarning]? { request.warnings.isEmpty ? nil : request.warnings }

  /// One of its images as a text that another process reads.
  package func json(ofImage index: Int) throws -> String {
    try request.single(index).json()
  }
}

extension ServiceOrder {
  /// Reads one image of another process's order.
  ///
  /// - Parameters:
  ///   - json: what ``PortableOrder/json(ofImage:)`` wrote.
  ///   - version: its version.
  ///   - input: the file of its images, if any.
  ///   - client: the client that it belongs to.
  ///   - name: what it is called in reports.
  /// - Throws: where the version is unknown, the text is not an order, or the input is missing or not
  ///   an image.
  package init(
    json: String, version: Int, input: [UInt8]?, client: String, name: String
  ) throws {
    var request = try JobRequest(json: json, version: version)
    let images = try input.map { try PortableImages(file: $0) }
    guard request.hasInput == (images?.input != nil) else {
      throw ServerError.invalid("the image that the order starts from is missing")
    }
    if let images, !images.controls.isEmpty {
      _ = request.replaceControlFiles { index, own in
        images.controls.indices.contains(index) ? images.controls[index] : own
      }
    }
    try request.putReferences(images?.references)
    let image = try images?.input.map { try PixelImage(picture: Array($0)) }
    self.init(
      try request.order(input: image), indices: nil, client: client, name: name, urgency: .awaited,
      deadline: nil)
  }
}
