internal import StreamFlow

/// An event of an image of a job.
enum JobImageEvent: Sendable {
  /// The image is finished.
  ///
  /// - Parameters:
  ///   - index: its index in the job.
  ///   - seed: its seed.
  ///   - file: its file, in the format of the order.
  case finished(index: Int, seed: UInt64, file: [UInt8])
  /// This image failed; others are unaffected.
  case failed(index: Int, any Error)
}

/// Generates the images of jobs: the interface of jobs to the server's queue.
protocol JobImageMaker: Sendable {
  /// Maximum number of images per call of ``make(_:indices:client:begun:event:)``.
  var jobCapacity: Int { get }

  /// The name of the model of an order.
  ///
  /// - Throws: `model_not_found`.
  func modelName(of order: ImageOrder) async throws(ServerError) -> String

  /// Checks that jobs are accepted.
  func checkOpen() async throws(ServerError)

  /// Generates some images of an order.
  ///
  /// - Parameters:
  ///   - order: the order.
  ///   - indices: the images' indices in the order.
  ///   - client: the client of the job.
  ///   - begun: called with the order's warnings once the images are queued.
  ///   - event: called with each image; if it throws, the rest is cancelled.
  func make(
    _ order: ImageOrder, indices: [Int], client: String,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (JobImageEvent) async throws -> Void
  ) async throws
}

extension OrderDesk: JobImageMaker {
  func make(
    _ order: ImageOrder, indices: [Int], client: String,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (JobImageEvent) async throws -> Void
  ) async throws {
    try await fulfil(order, indices: indices, client: client, urgency: .background) { warnings in
      await begun(warnings)
    } event: { happened in
      switch happened {
      case .preview: break
      case .failed(let index, let error): try await event(.failed(index: index, error))
      case .finished(let picture, let seed):
        try await event(.finished(index: picture.index, seed: seed, file: picture.file))
      }
    }
  }
}
