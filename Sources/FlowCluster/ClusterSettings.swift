public import FlowNATS

/// How a fleet is set up; what the first gateway says, which makes the streams, counts.
public struct ClusterSettings: Sendable {
  /// How the server is reached.
  public var nats: NATSOptions
  /// The most images that wait in the queue; what comes beyond it is refused.
  public var queueCount = 10_000
  /// The most bytes that wait in the queue.
  public var queueByteCount = 1 << 30
  /// How long a worker may be silent about a job before another one gets it.
  public var acknowledgementTime = Duration.seconds(30)
  /// How often a job is handed out at most.
  public var deliveryCount = 3
  /// The most bytes of finished images that were not fetched, and of input images.
  public var imageByteCount = 8 << 30
  /// The most bytes of tiles of images that workers upscale together.
  public var tileByteCount = 1 << 30
  /// How long images and results stay.
  public var lifetime = Duration.seconds(24 * 3600)

  /// Creates the settings of a server.
  public init(nats: NATSOptions) { self.nats = nats }
}

/// The streams of a fleet.
struct ClusterLayout: Sendable {
  let settings: ClusterSettings
  let stream: JetStream

  /// How long a worker is thought to be there after it was heard of.
  static let heartbeatLifetime = Duration.seconds(15)
  /// The most bytes of a job, a mask included.
  static let jobByteCount = 512 << 10

  var objects: ObjectStore { ObjectStore(stream, bucket: ClusterNames.bucket) }
  /// Tiles of images that are being upscaled.
  var tiles: ObjectStore { ObjectStore(stream, bucket: ClusterNames.tiles) }
  var workers: KeyValueStore { KeyValueStore(stream, bucket: ClusterNames.workers) }
  var models: KeyValueStore { KeyValueStore(stream, bucket: ClusterNames.models) }
  var cancelled: KeyValueStore { KeyValueStore(stream, bucket: ClusterNames.cancelled) }

  /// Makes the streams that are not there.
  func ensure() async throws {
    var jobs = StreamConfiguration(ClusterNames.jobs, subjects: ["jobs.>"])
    jobs.retention = .workqueue
    jobs.discard = .new
    jobs.max_msgs = settings.queueCount
    jobs.max_bytes = settings.queueByteCount
    jobs.max_msg_size = Self.jobByteCount
    jobs.max_age = Duration.seconds(7 * 24 * 3600).nanoseconds
    jobs.duplicate_window = Duration.seconds(120).nanoseconds
    try await stream.ensure(jobs)

    // The second result of a job is refused, from any worker and at any time.
    var results = StreamConfiguration(ClusterNames.results, subjects: ["results.>"])
    results.discard = .new
    results.discard_new_per_subject = true
    results.max_msgs_per_subject = 1
    results.max_age = settings.lifetime.nanoseconds
    try await stream.ensure(results)

    try await stream.ensure(
      ObjectStore.configuration(
        bucket: ClusterNames.bucket, byteCount: settings.imageByteCount,
        lifetime: settings.lifetime))
    try await stream.ensure(
      KeyValueStore.configuration(
        bucket: ClusterNames.workers, lifetime: Self.heartbeatLifetime))
    try await stream.ensure(
      KeyValueStore.configuration(
        bucket: ClusterNames.models, lifetime: .seconds(7 * 24 * 3600)))
    try await stream.ensure(
      KeyValueStore.configuration(bucket: ClusterNames.cancelled, lifetime: .seconds(3600)))
  }

  /// Makes the store of tiles, without which large images are not shared.
  ///
  /// - Throws: where the server has no room for it.
  func ensureTiles() async throws {
    // Removed afterwards; what a worker that ended leaves goes with its age.
    try await stream.ensure(
      ObjectStore.configuration(
        bucket: ClusterNames.tiles, byteCount: settings.tileByteCount, lifetime: .seconds(900)))
  }

  /// The most images of a lane in the hands of workers: more than a large fleet makes at once.
  private static let pendingCount = 65_536

  /// Makes the consumers of a model's lanes.
  func ensureConsumers(of model: String) async throws {
    for jobClass in JobClass.allCases {
      for lane in Lane.all(jobClass, model: model) {
        try await stream.ensure(
          ConsumerConfiguration(
            lane.consumer, filter: lane.filter, acknowledgementTime: settings.acknowledgementTime,
            deliveryCount: settings.deliveryCount, pendingCount: Self.pendingCount),
          of: ClusterNames.jobs)
      }
    }
  }

  /// Writes a job's result, unless it has one.
  ///
  /// - Returns: whether this one counts.
  func record(_ result: ClusterResult) async throws -> Bool {
    do {
      try await stream.publish(
        NATSMessage(
          ClusterNames.result(of: result.id), payload: try ClusterJSON.bytes(result)))
      return true
    } catch let error as NATSError where error.code == .full { return false }
  }

  /// The result of a job; nil where it has none.
  func result(of job: String) async throws -> ClusterResult? {
    guard
      let message = try await stream.last(
        ClusterNames.result(of: job), of: ClusterNames.results)
    else { return nil }
    return try ClusterJSON.value(ClusterResult.self, message.payload)
  }
}
