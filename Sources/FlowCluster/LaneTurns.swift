/// Which lanes a worker asks for a job next.
///
/// Lanes that are thought to have jobs are asked, the more urgent classes first, those of one class in
/// turn. One time in eight it begins with the least urgent class, so that a stream of urgent jobs does
/// not keep the others waiting for ever.
struct LaneTurns {
  /// One pull of this many begins with the least urgent class.
  static let reservedShare = 8

  private let models: [String]
  /// The lanes that may have jobs.
  private var hinted: Set<Lane> = []
  /// The lane of each class that is asked first.
  private var next: [JobClass: Int] = [:]
  private var pickCount = 0

  /// The lanes of some models, all of which may have jobs.
  init(models: [String]) {
    self.models = models
    hintAll()
  }

  private func lanes(of jobClass: JobClass) -> [Lane] {
    models.flatMap { Lane.all(jobClass, model: $0) }
  }

  /// Notes that a lane may have a job.
  mutating func hint(_ lane: Lane) { if models.contains(lane.model) { hinted.insert(lane) } }

  /// Notes that all may.
  mutating func hintAll() {
    for jobClass in JobClass.allCases { hinted.formUnion(lanes(of: jobClass)) }
  }

  /// Notes that a lane had no job when it was asked.
  mutating func unhint(_ lane: Lane) { hinted.remove(lane) }

  /// The lanes to ask for the next job, in order.
  mutating func order() -> [Lane] {
    pickCount += 1
    let classes =
      pickCount % Self.reservedShare == 0 ? JobClass.allCases.reversed() : JobClass.allCases
    return classes.flatMap { jobClass in
      let all = lanes(of: jobClass)
      let start = next[jobClass, default: 0] % max(all.count, 1)
      return (all[start...] + all[..<start]).filter(hinted.contains)
    }
  }

  /// Notes that a lane gave a job: the lane after it is first next time.
  mutating func took(_ lane: Lane) {
    guard let index = lanes(of: lane.jobClass).firstIndex(of: lane) else { return }
    next[lane.jobClass] = index + 1
  }
}
