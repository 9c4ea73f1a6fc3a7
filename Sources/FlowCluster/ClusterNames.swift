internal import FlowNATS
internal import FlowServer

/// How urgent a job is: workers take what is more urgent first, and one in eight times begin with what
/// is least.
enum JobClass: String, Codable, CaseIterable, Sendable {
  case gold, silver, bulk

  /// The class of an order.
  init(_ urgency: ServiceOrder.Urgency) {
    switch urgency {
    case .watched: self = .gold
    case .awaited: self = .silver
    case .background: self = .bulk
    }
  }
}

/// Jobs of one class and model from some of the clients: what workers take turns over, so that a client
/// with many jobs does not keep the others waiting.
struct Lane: Hashable, Sendable {
  /// The lanes of a class and model, to which clients are assigned by their hash.
  static let count = 8

  let jobClass: JobClass
  let model: String
  let number: Int

  /// The lane of a client.
  init(_ jobClass: JobClass, model: String, client: String) {
    // FNV-1a: the same in every process, as the standard library's hashes are not.
    let hash = client.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { hash, byte in
      (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    self.init(jobClass, model: model, number: Int(hash % UInt64(Self.count)))
  }

  init(_ jobClass: JobClass, model: String, number: Int) {
    (self.jobClass, self.model, self.number) = (jobClass, model, number)
  }

  /// All lanes of a class and model.
  static func all(_ jobClass: JobClass, model: String) -> [Lane] {
    (0..<count).map { Lane(jobClass, model: model, number: $0) }
  }

  private var place: String { "\(jobClass.rawValue).\(ClusterNames.token(model)).\(number)" }

  /// The subject of its jobs.
  func subject(of job: String) -> String { "jobs.\(place).\(job)" }
  /// The subjects of all its jobs.
  var filter: String { "jobs.\(place).*" }
  /// The durable consumer that hands its jobs out.
  var consumer: String { "\(jobClass.rawValue)_\(ClusterNames.token(model))_\(number)" }
  /// Where workers hear that it has jobs.
  var newsSubject: String { "wake.\(place)" }
  /// Where one of the workers that wait hears of a job.
  var offerSubject: String { "offer.\(place)" }

  /// The subjects of the news of all lanes of a model.
  static func newsSubjects(of model: String) -> String { "wake.*.\(ClusterNames.token(model)).*" }
  /// The subjects of the offers of all lanes of a model.
  static func offerSubjects(of model: String) -> String {
    "offer.*.\(ClusterNames.token(model)).*"
  }

  /// The lane of such subjects.
  init?(callSubject: String) {
    let tokens = callSubject.split(separator: ".")
    guard tokens.count == 4, let jobClass = JobClass(rawValue: String(tokens[1])),
      let model = ClusterNames.text(ofToken: tokens[2]), let number = Int(tokens[3])
    else { return nil }
    self.init(jobClass, model: model, number: number)
  }
}

/// The names of a fleet's streams, subjects and files.
enum ClusterNames {
  static let jobs = "JOBS"
  static let results = "RESULTS"
  static let bucket = "images"
  static let tiles = "tiles"
  static let workers = "WORKERS"
  static let models = "MODELS"
  static let cancelled = "cancelled"
  /// The group of workers that wait for a job.
  static let waiting = "waiting"
  /// Where the server tells of jobs that were handed out as often as they may be.
  static let exhausted = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.JOBS.>"

  /// The subject of a job's result.
  static func result(of job: String) -> String { "results.\(job)" }
  /// The subject of what happens to an order's images before they are finished.
  static func progress(of order: String) -> String { "progress.\(order)" }
  /// The subject that says that an order's images are not wanted any more.
  static func cancel(_ order: String) -> String { "cancel.\(order)" }
  /// A file for a finished image, which has another name each time.
  static func image(of job: String) -> String { "images/\(job)/\(NATSName.random())" }
  /// Where workers ask who is free to upscale tiles of a model's images.
  static func tileCall(_ model: String) -> String { "tiles.call.\(token(model))" }
  /// Where a worker is given tiles.
  static func tileWork(_ worker: String) -> String { "tiles.work.\(token(worker))" }
  /// The file that an order's images start from.
  static func input(of order: String) -> String { "inputs/\(order)" }

  /// A text as one token of a subject: what is neither a letter, a digit nor a hyphen is written as an
  /// underscore and two digits.
  static func token(_ text: String) -> String {
    text.utf8.reduce(into: "") { token, byte in
      let character = Character(UnicodeScalar(byte))
      if character.isASCII, character.isLetter || character.isNumber || byte == UInt8(ascii: "-") {
        token.append(character)
      } else {
        token += "_" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
      }
    }
  }

  /// The text of a token; nil where it is none of ``token(_:)``.
  static func text(ofToken token: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(token.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "_") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
