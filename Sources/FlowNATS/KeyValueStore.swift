/// Values by their keys in a stream, in the layout that NATS's own clients read and write.
public struct KeyValueStore: Sendable {
  private let stream: JetStream
  private let bucket: String

  /// A bucket of values.
  public init(_ stream: JetStream, bucket: String) { (self.stream, self.bucket) = (stream, bucket) }

  /// The stream of a bucket, whose values go after some time.
  public static func configuration(bucket: String, lifetime: Duration) -> StreamConfiguration {
    var configuration = StreamConfiguration("KV_\(bucket)", subjects: ["$KV.\(bucket).>"])
    configuration.max_msgs_per_subject = 1
    configuration.max_age = lifetime.nanoseconds
    configuration.discard = .new
    configuration.allow_rollup_hdrs = true
    configuration.deny_delete = true
    return configuration
  }

  /// The subject of all values, for those who want to hear of each.
  public var subjects: String { "$KV.\(bucket).>" }

  /// The key of a value's subject.
  public func key(of subject: String) -> String {
    String(subject.dropFirst("$KV.\(bucket).".count))
  }

  /// Sets a value.
  public func put(_ payload: [UInt8], for key: String) async throws {
    try await stream.publish(NATSMessage("$KV.\(bucket).\(key)", payload: payload))
  }

  /// A value; nil where there is none, or it was deleted.
  public func value(_ key: String) async throws -> [UInt8]? {
    let payload = try await stream.last("$KV.\(bucket).\(key)", of: "KV_\(bucket)")?.payload
    return payload?.isEmpty == false ? payload : nil
  }

  /// The keys.
  public func keys() async throws -> [String] {
    try await stream.subjects(subjects, of: "KV_\(bucket)").map(key)
  }

  /// Removes a value, and tells those who listen: they get an empty one.
  public func remove(_ key: String) async throws {
    try await stream.publish(
      NATSMessage("$KV.\(bucket).\(key)", headers: ["KV-Operation": "DEL"]))
  }
}
