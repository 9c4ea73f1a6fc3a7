internal import FlowNATS
internal import FlowServer
internal import Foundation
internal import Logging
internal import Synchronization

extension Worker {
  /// What is wrong with a job that is not this worker's fault.
  private struct Unfit: Error {
    let error: ServerError
  }

  /// The answer to the queue about a job.
  private enum Answer {
    case done
    case notUnderstood
    case later(Duration)
  }

  /// Does a job, and says what became of it.
  func perform(_ delivery: consuming Delivery, _ queue: JobQueue) async {
    tally.begin()
    defer { tally.end() }
    if delivery.count > 1 { tally.countRedelivered() }
    let sign = delivery.sign
    let ticking = Task { [interval = settings.cluster.acknowledgementTime / 3] in
      // From a timer and not from the tick: a long tick is no sign of death.
      while !Task.isCancelled {
        try? await Task.sleep(for: interval)
        if !Task.isCancelled { sign.working() }
      }
    }
    let answer = await answer(
      to: delivery.payload, subject: delivery.subject, deliveries: delivery.count, queue)
    ticking.cancel()
    do {
      switch answer {
      case .done: try await delivery.acknowledge()
      case .notUnderstood: try await delivery.refuse()
      case .later(let delay): try await delivery.giveBack(after: delay)
      }
    } catch {
      // Another worker will get it, and find its result.
      logger.warning("cannot answer the queue", metadata: ["error": "\(error)"])
    }
  }

  private func answer(
    to payload: [UInt8], subject: String, deliveries: Int, _ queue: JobQueue
  ) async -> Answer {
    let job: ClusterJob
    do { job = try ClusterJob(payload) } catch {
      // Nobody of this version can do it.
      logger.error(
        "job is not understood", metadata: ["subject": "\(subject)", "error": "\(error)"])
      await reportUnknown(subject)
      return .notUnderstood
    }
    let start = ContinuousClock.now
    do {
      guard let result = try await result(of: job, deliveries: deliveries, since: start) else {
        return .done
      }
      if try await layout.record(result) {
        if result.status == .done { tally.finish(after: .now - start) }
      } else {
        tally.countSuperseded()
        if let picture = result.picture { try? await layout.objects.remove(picture.object) }
      }
      return .done
    } catch {
      if isDraining, error is CancellationError { return .later(.zero) }
      // Whatever it is, it may be over soon, or be only here.
      queue.pause(for: .seconds(2))
      logger.error(
        "job goes back to the queue", metadata: ["job": "\(job.id)", "error": "\(error)"])
      return .later(.seconds(min(deliveries, 5) * 2))
    }
  }

  /// Reports a job that cannot be parsed to its gateway, if its subject identifies it.
  private func reportUnknown(_ subject: String) async {
    guard let id = subject.split(separator: ".").last else { return }
    _ = try? await layout.record(
      ClusterResult(
        id: String(id), status: .failed,
        error: ServerError(
          status: 500, code: "job_unknown",
          message: "a worker does not understand the job; run gateway and workers of one version"),
        worker: settings.name))
  }

  /// Makes the image of a job.
  ///
  /// - Returns: what became of it; nil where it has a result already.
  /// - Throws: why this worker cannot, which another may.
  private func result(
    of job: ClusterJob, deliveries: Int, since start: ContinuousClock.Instant
  ) async throws -> ClusterResult? {
    let queuedMs = max(Int(Date().timeIntervalSince(job.submitted) * 1000), 0)
    func ended(_ status: ClusterResult.Status, _ error: ServerError?) -> ClusterResult {
      var result = ClusterResult(
        id: job.id, status: status, error: error, worker: settings.name, deliveries: deliveries)
      result.queuedMs = queuedMs
      result.runMs = Int((ContinuousClock.now - start) / .milliseconds(1))
      return result
    }
    if deliveries > 1, try await layout.result(of: job.id) != nil { return nil }
    if let deadline = job.deadline, deadline < Date() {
      return ended(
        .failed,
        ServerError(
          status: 504, code: "deadline_exceeded",
          message: "the image waited for a worker until nobody wanted it any more"))
    }
    if try await isCancelled(job) { return ended(.cancelled, nil) }
    do {
      let order = try await order(of: job)
      var result = ended(.done, nil)
      let (picture, warnings) = try await picture(of: job, order)
      result.picture = picture
      result.warnings = warnings
      result.runMs = Int((ContinuousClock.now - start) / .milliseconds(1))
      return result
    } catch is CancellationError where cancellations.contains(job.order) {
      return ended(.cancelled, nil)
    } catch let unfit as Unfit {
      return ended(.failed, unfit.error)
    } catch let error as NATSError {
      throw error
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      let reason = ServerError(error)
      if ServerError.mustLog(error) {
        logger.error("image failed", metadata: ["job": "\(job.id)", "error": "\(error)"])
      }
      if reason.isOfHost { throw error }
      return ended(.failed, reason)
    }
  }

  private func isCancelled(_ job: ClusterJob) async throws -> Bool {
    if cancellations.contains(job.order) { return true }
    // It may have been cancelled before this worker was there.
    guard try await layout.cancelled.value(job.order) != nil else { return false }
    cancellations.cancel(job.order)
    return true
  }

  private func order(of job: ClusterJob) async throws -> ServiceOrder {
    var input: [UInt8]?
    if let name = job.input {
      do { input = try await layout.objects.get(name) } catch let error as NATSError
        where error.code == .damaged
      {
        throw Unfit(
          error: ServerError(status: 400, code: "input_damaged", message: error.message))
      }
      guard input != nil else {
        throw Unfit(
          error: ServerError(
            status: 410, code: "input_missing",
            message: "the image that the order starts from is not stored any more; send it again"))
      }
    }
    do {
      return try ServiceOrder(
        json: job.request, version: job.requestVersion, input: input, client: job.client,
        name: String(job.order.prefix(6)))
    } catch {
      throw Unfit(
        error: ServerError(
          status: 400, code: "order_unknown",
          message: "the worker does not understand the order; run gateway and workers of one "
            + "version (\(error))"))
    }
  }

  /// Makes an image and stores its file.
  private func picture(
    of job: ClusterJob, _ order: ServiceOrder
  ) async throws -> (ClusterResult.Picture, [ResponseWarning]?) {
    let (service, connection) = (service, connection)
    let worker = settings.name
    let found = Mutex<(picture: ImageEvent.Picture, seed: UInt64)?>(nil)
    let warnings = Mutex<[ResponseWarning]?>(nil)
    let subject = ClusterNames.progress(of: job.order)
    let making = Task {
      try await service.make(order) { told in
        warnings.withLock { $0 = told }
        Self.post(
          ClusterProgress(id: job.id, worker: worker, warnings: told), to: subject, connection)
      } event: { event in
        switch event {
        case .preview(let picture, let number):
          Self.post(
            ClusterProgress(
              id: job.id, number: number, width: picture.width, height: picture.height,
              file: Data(picture.file)), to: subject, connection)
        case .finished(let picture, let seed): found.withLock { $0 = (picture, seed) }
        case .failed(_, let error): throw error
        }
      }
    }
    let number = cancellations.add({ making.cancel() }, of: job.order)
    defer { cancellations.remove(number, of: job.order) }
    if cancellations.contains(job.order) { making.cancel() }
    try await making.value
    guard let (picture, seed) = found.withLock({ $0 }) else { throw CancellationError() }
    // A unique name: a second worker replaces nothing.
    let name = ClusterNames.image(of: job.id)
    try await layout.objects.put(picture.file, as: name, isNew: true)
    return (
      ClusterResult.Picture(
        object: name, sha256: try ImageDigest.text(of: picture.file), seed: seed,
        width: picture.width,
        height: picture.height), warnings.withLock { $0 }
    )
  }

  /// Tells something that may be lost.
  private static func post(
    _ progress: ClusterProgress, to subject: String, _ connection: NATSConnection
  ) {
    guard let payload = try? ClusterJSON.bytes(progress), payload.count < connection.maximumPayload
    else { return }
    connection.post(NATSMessage(subject, payload: payload))
  }
}
