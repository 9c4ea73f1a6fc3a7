internal import FlowNATS
internal import Synchronization

/// What workers hear of new jobs.
///
/// Each job is offered to one of the workers that wait. Where few wait, all workers also hear of its lane, at most ten
/// times a second from each gateway, and look there when they are free.
final class JobCalls: Sendable {
  /// How long workers hear nothing more of a lane after its news.
  static let quiet = Duration.milliseconds(100)

  private let connection: NATSConnection
  /// The lanes whose news was just sent, and whether there are jobs since then.
  private let recent = Mutex<[Lane: Bool]>([:])

  init(_ connection: NATSConnection) { self.connection = connection }

  /// Offers jobs of a lane to as many workers that wait.
  func offer(_ lane: Lane, count: Int = 1) {
    for _ in 0..<count { connection.post(NATSMessage(lane.offerSubject)) }
  }

  /// Sends the news that a lane has jobs.
  func tell(_ lane: Lane) { connection.post(NATSMessage(lane.newsSubject)) }

  /// Offers a new job.
  ///
  /// - Parameters:
  ///   - lane: its lane.
  ///   - isNews: whether busy workers hear of it too.
  func announce(_ lane: Lane, isNews: Bool) {
    offer(lane)
    guard isNews else { return }
    let isRecent = recent.withLock { recent in
      let isRecent = recent[lane] != nil
      recent[lane] = isRecent
      return isRecent
    }
    guard !isRecent else { return }
    tell(lane)
    Task {
      repeat { try? await Task.sleep(for: Self.quiet) } while repeatNews(lane)
    }
  }

  /// Sends the news of jobs since the last news.
  ///
  /// - Returns: whether there were any.
  private func repeatNews(_ lane: Lane) -> Bool {
    let hasMore = recent.withLock { recent in
      let hasMore = recent[lane] == true
      recent[lane] = hasMore ? false : nil
      return hasMore
    }
    guard hasMore else { return false }
    // A worker that began to wait meanwhile had no offer.
    offer(lane)
    tell(lane)
    return true
  }
}
