import Foundation
import HTTPTypes
import StreamFlow
import Synchronization

@testable import FlowServer

/// Makes the images of jobs without a model: a file says which image it is.
final class FakeJobImageMaker: JobImageMaker {
  struct State {
    var isOpen = true
    var model = "fake"
    /// The indices of each call.
    var calls: [[Int]] = []
    /// The number of images that may be made until more are allowed; nil for all.
    var allowance: Int?
    /// The images that fail.
    var failing: Set<Int> = []
    /// The calls that are refused because the queue is full.
    var refusalCount = 0
  }

  let state = Mutex(State())
  let jobCapacity: Int

  init(jobCapacity: Int = 1000) { self.jobCapacity = jobCapacity }

  /// The images that were asked for, by call.
  var calls: [[Int]] { state.withLock { $0.calls } }

  func change(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  func modelName(of order: ImageOrder) throws(ServerError) -> String {
    let model = state.withLock { $0.model }
    guard order.model == nil || order.model == model else {
      throw ServerError(
        .notFound, "model_not_found", "there is no model '\(order.model ?? "")'",
        parameter: "model")
    }
    return model
  }

  func checkOpen() async throws(ServerError) {
    guard state.withLock({ $0.isOpen }) else { throw .stopping }
  }

  func make(
    _ order: ImageOrder, indices: [Int], client: String,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (JobImageEvent) async throws -> Void
  ) async throws {
    _ = try modelName(of: order)
    try await checkOpen()
    let isRefused = state.withLock { state in
      guard state.refusalCount == 0 else {
        state.refusalCount -= 1
        return true
      }
      state.calls.append(indices)
      return false
    }
    guard !isRefused else { throw ServerError(.tooManyRequests, "queue_full", "the queue is full") }
    await begun(order.warnings.isEmpty ? nil : order.warnings)
    for index in indices {
      while !take() { try await Task.sleep(for: .milliseconds(1)) }
      try Task.checkCancellation()
      if state.withLock({ $0.failing.contains(index) }) {
        try await event(.failed(index: index, ServerError(.badRequest, "bad", "it failed")))
      } else {
        let seed = (order.sampling.seed ?? 0) + UInt64(index % order.count)
        try await event(
          .finished(index: index, seed: seed, file: Self.file(seed: seed, index: index)))
      }
    }
  }

  private func take() -> Bool {
    state.withLock { state in
      guard let allowance = state.allowance else { return true }
      guard allowance > 0 else { return false }
      state.allowance = allowance - 1
      return true
    }
  }

  /// The file of an image.
  static func file(seed: UInt64, index: Int) -> [UInt8] { Array("image \(index) of \(seed)".utf8) }
}

extension ImageOrder {
  /// The order of a job's JSON.
  static func job(_ json: String) throws -> ImageOrder {
    var fields = try RequestFields(json: Array(json.utf8), limits: ServerLimits().json)
    return try ImageOrder(&fields, limits: ServerLimits(), isJob: true)
  }
}

/// Waits until a condition holds, at most a minute: longer than any machine takes.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
  for _ in 0..<30_000 {
    if try await condition() { return true }
    try await Task.sleep(for: .milliseconds(2))
  }
  return false
}
