internal import FlowNATS
internal import FlowServer
internal import Foundation
internal import Logging

/// Ends jobs that were handed out as often as they may be: they would lie in the queue for ever.
///
/// The server tells of each once, and stores that nowhere, so lanes that hand out nothing and still
/// hold something are looked through too.
struct Janitor: Sendable {
  let layout: ClusterLayout
  let logger: Logger

  private struct Advisory: Decodable {
    let stream: String
    let stream_seq: UInt64
  }

  /// Ends the job that the server tells of.
  func bury(_ advisory: [UInt8]) async {
    guard let advisory = try? ClusterJSON.value(Advisory.self, advisory),
      advisory.stream == ClusterNames.jobs
    else { return }
    do {
      guard
        let message = try await layout.stream.message(
          advisory.stream_seq, of: ClusterNames.jobs)
      else { return }
      try await end(message)
    } catch {
      // The next sweep finds it.
      logger.warning("a job that failed cannot be ended yet", metadata: ["error": "\(error)"])
    }
  }

  /// Looks for jobs that nobody will be handed any more.
  func sweep(models: [String]) async {
    do {
      guard try await layout.stream.info(of: ClusterNames.jobs).state.messages > 0 else { return }
      for model in models {
        for jobClass in JobClass.allCases {
          for lane in Lane.all(jobClass, model: model) { try await sweep(lane) }
        }
      }
    } catch {
      logger.warning("the queue cannot be looked through", metadata: ["error": "\(error)"])
    }
  }

  private func sweep(_ lane: Lane) async throws {
    let consumer = try await layout.stream.consumer(lane.consumer, of: ClusterNames.jobs)
    // Nothing is pending, so what was delivered and is still there will not be delivered again.
    guard consumer.num_ack_pending == 0 else { return }
    var sequence: UInt64 = 1
    while let message = try await layout.stream.next(
      lane.filter, from: sequence, of: ClusterNames.jobs),
      message.sequence <= consumer.delivered.stream_seq
    {
      try await end(message)
      sequence = message.sequence + 1
    }
  }

  /// Writes that a job failed, and removes it from the queue.
  private func end(_ message: JetStream.Message) async throws {
    let id = message.subject.split(separator: ".").last.map(String.init) ?? ""
    let error = ServerError(
      status: 500, code: "workers_failed",
      message:
        "\(layout.settings.deliveryCount) workers in turn ended or failed at this image; their "
        + "logs say why")
    let isNew = try await layout.record(
      ClusterResult(
        id: id, status: .failed, error: error, worker: "janitor",
        deliveries: layout.settings.deliveryCount))
    try await layout.stream.remove(message.sequence, of: ClusterNames.jobs)
    if isNew { logger.error("job given up", metadata: ["job": "\(id)"]) }
  }
}
