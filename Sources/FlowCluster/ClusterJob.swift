internal import FlowServer
internal import Foundation

/// One image to be made, as it lies in the queue.
struct ClusterJob: Codable, Sendable {
  /// The version that is written; others are refused.
  static let version = 1

  private(set) var v = ClusterJob.version
  /// Its name: the order's and the image's place in it.
  let id: String
  /// The order that it belongs to, which is cancelled as a whole.
  let order: String
  let jobClass: JobClass
  let model: String
  /// The client that it belongs to.
  let client: String
  let submitted: Date
  /// When nobody will want it any more.
  let deadline: Date?
  /// The image's parameters, in the version of the server's stored requests.
  let request: String
  let requestVersion: Int
  /// The file in the bucket that it starts from.
  let input: String?

  init(
    order: String, index: Int, jobClass: JobClass, model: String, client: String,
    submitted: Date, deadline: Date?, request: String, requestVersion: Int, input: String?
  ) {
    id = "\(order)-\(index)"
    (self.order, self.jobClass, self.model) = (order, jobClass, model)
    (self.client, self.submitted, self.deadline) = (client, submitted, deadline)
    (self.request, self.requestVersion, self.input) = (request, requestVersion, input)
  }

  /// Reads a job.
  ///
  /// - Throws: where the version is another, or the text is no job.
  init(_ payload: [UInt8]) throws {
    self = try ClusterJSON.value(ClusterJob.self, payload)
    guard v == Self.version else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "version \(v), expected \(Self.version)"))
    }
  }

  /// The lane that it waits in.
  var lane: Lane { Lane(jobClass, model: model, client: client) }

  /// Its place in the order, by its name.
  static func index(of id: some StringProtocol) -> Int? {
    id.split(separator: "-").last.flatMap { Int($0) }
  }
}

/// What became of a job: one record, of which the first that is written counts.
struct ClusterResult: Codable, Sendable {
  enum Status: String, Codable, Sendable { case done, failed, cancelled }

  /// The image's file.
  struct Picture: Codable, Sendable {
    let object: String
    let sha256: String
    let seed: UInt64
    let width: Int
    let height: Int
  }

  private(set) var v = ClusterJob.version
  let id: String
  let status: Status
  var picture: Picture?
  var error: ServerError?
  var warnings: [ResponseWarning]?
  /// Who made it.
  let worker: String
  /// How often the job had been handed out.
  var deliveries = 1
  /// Milliseconds in the queue, and until it was done.
  var queuedMs = 0
  var runMs = 0
}

/// What happens to a job before it is finished; losing it is harmless.
struct ClusterProgress: Codable, Sendable {
  let id: String
  /// The worker that began it, with the order's warnings.
  var worker: String?
  var warnings: [ResponseWarning]?
  /// A preview: its number, its size and its file.
  var number: Int?
  var width: Int?
  var height: Int?
  var file: Data?
}

/// What a worker says of itself, every other second.
struct Heartbeat: Codable, Sendable {
  let worker: ServiceWorker
  let models: [ServiceModel]
  /// Where gateways reach its live streams, with its secret.
  var live: LiveHost?
  var streams: [LiveReport]?
  /// Whether it takes nothing more, since it is being stopped.
  var isDraining: Bool?
}

/// What a worker says of a model once.
struct AnnouncedModel: Codable, Sendable {
  let model: ServiceModel
  let prompts: ModelPrompts
}

/// JSON as it goes through the cluster.
enum ClusterJSON {
  static func bytes(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .secondsSince1970
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
  }

  static func value<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .secondsSince1970
    return try decoder.decode(type, from: Data(bytes))
  }
}
