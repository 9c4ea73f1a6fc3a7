/// How a stream stores messages, by the names of the server's interface.
public struct StreamConfiguration: Encodable, Sendable {
  /// When messages leave a stream.
  public enum Retention: String, Encodable, Sendable {
    /// When a limit is reached.
    case limits
    /// When one consumer acknowledged them.
    case workqueue
  }

  /// What a full stream does.
  public enum Discard: String, Encodable, Sendable {
    /// Drops the oldest.
    case old
    /// Refuses the new one.
    case new
  }

  public let name: String
  public let subjects: [String]
  public var retention = Retention.limits
  public var discard = Discard.old
  public var max_msgs = -1
  public var max_bytes = -1
  public var max_msg_size = -1
  public var max_msgs_per_subject = -1
  public var discard_new_per_subject = false
  /// In nanoseconds; 0 for ever.
  public var max_age = 0
  /// The time within which a message id is known again, in nanoseconds.
  public var duplicate_window = 0
  public var allow_direct = true
  public var allow_rollup_hdrs = false
  public var deny_delete = false
  public var num_replicas = 1
  public var storage = "file"
  public var max_consumers = -1

  /// A stream of some subjects.
  public init(_ name: String, subjects: [String]) { (self.name, self.subjects) = (name, subjects) }
}

/// How a consumer hands out messages, by the names of the server's interface.
public struct ConsumerConfiguration: Encodable, Sendable {
  public let durable_name: String
  public let filter_subject: String
  /// In nanoseconds.
  public var ack_wait: Int
  public var max_deliver: Int
  public var max_ack_pending: Int
  public let ack_policy = "explicit"
  public let deliver_policy = "all"
  public let replay_policy = "instant"

  /// A consumer that is pulled from.
  ///
  /// - Parameters:
  ///   - name: its name.
  ///   - filter: the subjects that it hands out.
  ///   - acknowledgementTime: how long a message may be pending without a sign of life.
  ///   - deliveryCount: how often it is handed out at most.
  ///   - pendingCount: how many may be pending at once.
  public init(
    _ name: String, filter: String, acknowledgementTime: Duration, deliveryCount: Int,
    pendingCount: Int
  ) {
    (durable_name, filter_subject) = (name, filter)
    ack_wait = acknowledgementTime.nanoseconds
    (max_deliver, max_ack_pending) = (deliveryCount, pendingCount)
  }
}

/// What a stream holds.
public struct StreamInformation: Decodable, Sendable {
  public struct Configuration: Decodable, Sendable {
    public let max_msgs: Int
  }

  public struct State: Decodable, Sendable {
    public let messages: Int
    public let bytes: Int
    public let first_seq: UInt64
    public let last_seq: UInt64
    public let subjects: [String: Int]?
  }

  public let config: Configuration
  public let state: State
}

/// How far a consumer is.
public struct ConsumerInformation: Decodable, Sendable {
  public struct Position: Decodable, Sendable { public let stream_seq: UInt64 }

  /// Its name.
  public let name: String
  /// The last message that was handed out.
  public let delivered: Position
  /// The pending messages.
  public let num_ack_pending: Int
  /// The messages that were not handed out yet.
  public let num_pending: Int
}

extension Duration {
  /// The duration in whole nanoseconds.
  public var nanoseconds: Int {
    Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000)
  }
}
