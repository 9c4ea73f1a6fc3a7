internal import FlowCore

/// What makes the images of a server: the models of this process, or workers elsewhere.
///
/// Routes, jobs, metrics and the page know nothing of which it is.
package protocol ImageService: Sendable {
  /// The workers that take live streams; nil where this process runs them, or nobody does.
  var livePlacement: (any LivePlacement)? { get }

  /// How its large images are shared out; nil where this process makes none.
  var tileSharing: (any TileSharing)? { get }

  /// Gets ready to make images.
  ///
  /// - Throws: where it never will.
  func start() async throws

  /// Prepares the first images, so that the first request need not wait.
  func warmUp() async

  /// Releases everything.
  func close() async

  /// The models as far as they are known, of which the first is the default.
  func models() async -> [ServiceModel]

  /// The workers that make the images; nil where this process does.
  func workers() async -> [ServiceWorker]?

  /// The model of a name, read if it is not there yet; the first one where there is none.
  ///
  /// - Throws: `model_not_found`, or why it cannot be read.
  func model(_ name: String?) async throws -> ServiceModel

  /// The name of the model that a name means.
  ///
  /// - Throws: `model_not_found`.
  func modelName(_ name: String?) async throws(ServerError) -> String

  /// The prompts that a model was trained on.
  func prompts(of name: String?) async throws -> ModelPrompts

  /// Makes images, and hands on what happens to each.
  ///
  /// Returns when each has finished or failed. Where the task is cancelled, or a handler throws, the
  /// rest is cancelled.
  ///
  /// - Parameters:
  ///   - work: the images.
  ///   - begun: called once, when the order is accepted, with its warnings; nil where there are none.
  ///   - event: called with each event.
  /// - Throws: what is wrong with the order, `queue_full`, or a failure of all its images.
  func make(
    _ work: ServiceOrder,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws
}

extension ImageService {
  package var tileSharing: (any TileSharing)? { nil }
}

/// What happens to the images of an order.
package enum ImageEvent: Sendable {
  /// An image as a file, in the format that was asked for.
  package struct Picture: Sendable {
    /// Its place in the order.
    package let index: Int
    package let width: Int
    package let height: Int
    package let file: [UInt8]

    package init(index: Int, width: Int, height: Int, file: [UInt8]) {
      (self.index, self.width, self.height, self.file) = (index, width, height, file)
    }
  }

  /// A look at an unfinished image, and which of its previews it is, from 0.
  case preview(Picture, number: Int)
  /// An image is finished.
  case finished(Picture, seed: UInt64)
  /// An image failed, and no other.
  case failed(index: Int, any Error)

  /// The image's place in the order.
  package var index: Int {
    switch self {
    case .preview(let picture, _), .finished(let picture, _): picture.index
    case .failed(let index, _): index
    }
  }
}
