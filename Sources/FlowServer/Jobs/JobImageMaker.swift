internal import StreamFlow

/// What happens to an image of a job.
enum JobImageEvent: Sendable {
  /// It is finished.
  ///
  /// - Parameters:
  ///   - index: its place in the job.
  ///   - seed: its seed.
  ///   - file: its file, in the format of the order.
  case finished(index: Int, seed: UInt64, file: [UInt8])
  /// It failed, and no other.
  case failed(index: Int, any Error)
}

/// Makes the images of jobs: what jobs need of the server's queue.
protocol JobImageMaker: Sendable {
  /// The most images of one call of ``make(_:indices:client:begun:event:)``.
  var jobCapacity: Int { get }

  /// The name of the model that an order means.
  ///
  /// - Throws: `model_not_found`.
  func modelName(of order: ImageOrder) throws(ServerError) -> String

  /// Checks that jobs are accepted.
  func checkOpen() async throws(ServerError)

  /// Makes some images of an order.
  ///
  /// - Parameters:
  ///   - order: the order.
  ///   - indices: the images' places in the order.
  ///   - client: the client that they belong to.
  ///   - begun: called once the images are in the queue, with the order's warnings.
  ///   - event: called with each image; where it throws, the rest is given up.
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
    try await fulfil(order, indices: indices, client: client) { warnings in
      await begun(warnings)
    } event: { generator, happened in
      switch happened {
      case .preview, .stepped: break
      case .failed(let index, let error):
        try await event(.failed(index: indices[index], error))
      case .finished(let made):
        let bytes = try order.encoding.bytes(
          of: made.image, parameters: generator.parameters(of: made.request))
        try await event(
          .finished(index: indices[made.index], seed: made.request.seed, file: bytes))
      }
    }
  }
}
