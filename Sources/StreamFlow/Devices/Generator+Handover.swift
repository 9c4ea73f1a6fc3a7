internal import FlowCore
internal import FlowModels

/// Images that begin on one device and end on another.
extension Generator {
  /// An image that a generator gave up in flight: its latents, its stage, and all that its next
  /// step reads.
  struct Handover: Sendable {
    /// What asked for it (``GenerationEvents/stream``).
    let stream: Int
    /// What its rows read.
    let structure: NetworkStructure
    /// What the image is laid over, where a part of its source stays.
    let overlay: SourceOverlay?
    let trajectory: Trajectory<Conditioning>

    fileprivate init(_ admission: Admission, at trajectory: Trajectory<Conditioning>) {
      (stream, structure) = (admission.stream, admission.structure)
      overlay = admission.overlay
      self.trajectory = trajectory
    }
  }

  /// Gives up everything, and says where what was in flight has come to; all streams end.
  func surrender() -> [Handover] {
    var handovers = batch.inFlight.compactMap { trajectory in
      inFlight[trajectory.id].map { Handover($0, at: trajectory) }
    }
    handovers += pending.elements.compactMap { admission in
      admission.resumed.map { Handover(admission, at: $0) }
    }
    for id in inFlight.keys { batch.remove(id: id) }
    pending = AdmissionQueue()
    (inFlight, waiting) = ([:], [])
    boxes.closeAll()
    return handovers
  }

  /// Resumes an image that another generator of the same model and size gave up.
  ///
  /// - Parameters:
  ///   - handover: where it left it.
  ///   - request: what it shows.
  ///   - previewCount: how often it is shown before it is finished.
  ///   - reportsSteps: whether each step is an event.
  func events(
    resuming handover: Handover, of request: GenerationRequest, previewCount: Int,
    reportsSteps: Bool
  ) -> GenerationEvents {
    let stream = nextStream
    nextStream += 1
    let plan = handover.trajectory.plan
    let admission = Admission(
      stream: stream, index: 0, request: request, plan: plan,
      previewStages: PreviewStages.stages(count: previewCount, of: plan.rows.count),
      reportsSteps: reportsSteps, overlay: handover.overlay, structure: handover.structure,
      resumed: handover.trajectory)
    pending.add([admission], stream: stream, client: "")
    boxes.open(stream, count: 1)
    return GenerationEvents(source: self, stream: stream, count: 1)
  }
}
