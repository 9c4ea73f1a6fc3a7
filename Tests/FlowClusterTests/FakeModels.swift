import FlowCore
import FlowImage
import FlowNATS
import FlowTestSupport
import Foundation
import HTTPTypes
import Logging
import StreamFlow
import Synchronization

@testable import FlowCluster
@testable import FlowServer

/// Makes images without a model: a file says which image it is.
final class FakeModels: ImageService {
  struct State {
    /// How long an image takes.
    var time = Duration.milliseconds(2)
    /// The prompts that were made, in the order in which they were begun.
    var begun: [String] = []
    /// What happens with some prompts instead.
    var failures: [String: ServerError] = [:]
    var previews = 0
  }

  let state = Mutex(State())
  /// The name of its model.
  let name: String
  /// What makes its tiles, if anything.
  var tiles: FakeTiles? {
    get { fakeTiles.withLock { $0 } }
    set { fakeTiles.withLock { $0 = newValue } }
  }
  private let fakeTiles = Mutex<FakeTiles?>(nil)

  init(_ name: String = "fake") { self.name = name }

  var livePlacement: (any LivePlacement)? { nil }
  var tileSharing: (any TileSharing)? { tiles }

  var begun: [String] { state.withLock { $0.begun } }
  func change(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  func start() async throws {}
  func warmUp() async {}
  func close() async {}
  func workers() async -> [ServiceWorker]? { nil }
  func modelName(_ name: String?) async throws(ServerError) -> String { self.name }

  private var model: ServiceModel {
    ServiceModel(
      name: name, state: "ready",
      details: ServiceModel.Details(
        width: 8, height: 8, sizeMultiple: 8, steps: 4, guidance: "none", guidanceScale: 1,
        canEdit: true), memoryBytes: 1000, batches: [])
  }

  func models() async -> [ServiceModel] { [model] }
  func model(_ name: String?) async throws -> ServiceModel { model }

  func prompts(of name: String?) async throws -> ModelPrompts {
    try ClusterJSON.value(
      ModelPrompts.self,
      Array(
        #"{"object":"prompts","model":"\#(self.name)","isLimited":false,"subjects":[],"backgrounds":[],"sizes":[]}"#
          .utf8))
  }

  func make(
    _ work: ServiceOrder, begun: @escaping @Sendable ([ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    let order = work.order
    await begun([ResponseWarning(.unknownWord, "from the model")])
    for index in work.imageIndices {
      let prompt = order.prompts[index / order.count]
      let (time, failure, previews) = state.withLock { state in
        state.begun.append(prompt)
        return (state.time, state.failures[prompt], state.previews)
      }
      if let failure { throw failure }
      func picture(_ text: String) -> ImageEvent.Picture {
        ImageEvent.Picture(index: index, width: 8, height: 8, file: Array(text.utf8))
      }
      for number in 0..<previews { try await event(.preview(picture("preview"), number: number)) }
      try await Task.sleep(for: time)
      let seed = (order.sampling.seed ?? 0) + UInt64(index % order.count)
      let input = order.source.map { " from \($0.image.width)x\($0.image.height)" } ?? ""
      let references = order.references.map { " with \($0.width)x\($0.height)" }.joined()
      try await event(.finished(picture("\(prompt) \(seed)\(input)\(references)"), seed: seed))
    }
  }
}

/// A gateway and workers in this process, around a server of NATS.
final class TestFleet: Sendable {
  private let server: Mutex<NATSServer>
  /// The address of the server.
  let url: String
  let gateway: ClusterService
  let models = FakeModels()
  private let settings: ClusterSettings
  private let workerSettings: ClusterSettings
  private let workers = Mutex<[Task<Void, Never>]>([])
  static let logger = {
    var logger = Logger(label: "test")
    logger.logLevel = ProcessInfo.processInfo.environment["LOG"] == nil ? .critical : .debug
    return logger
  }()

  /// - Parameters:
  ///   - queueCount: the most images in the queue.
  ///   - configuration: further lines of the server's configuration.
  ///   - change: changes how a gateway (true) or a worker reaches the server.
  init(
    queueCount: Int = 1000, _ configuration: String = "",
    change: (inout NATSOptions, Bool) -> Void = { _, _ in }
  ) async throws {
    let server = try NATSServer(configuration)
    url = server.url
    self.server = Mutex(server)
    var settings = ClusterSettings(nats: NATSOptions(url: url, name: "test"))
    settings.acknowledgementTime = .milliseconds(500)
    settings.queueCount = queueCount
    settings.nats.timeout = .seconds(2)
    var forWorkers = settings
    change(&settings.nats, true)
    change(&forWorkers.nats, false)
    (self.settings, workerSettings) = (settings, forWorkers)
    gateway = try await ClusterService(settings, acceptsOpenAINames: true, logger: Self.logger)
    try await gateway.start()
  }

  /// Adds a worker, and waits until the gateway knows it.
  ///
  /// - Returns: the worker's task, which ends it where it is cancelled.
  @discardableResult
  func add(
    _ name: String = "one", _ models: (any ImageService)? = nil, live: LiveEndpoint? = nil,
    capacity: Int = 2, tileOfferTime: Duration = .seconds(2)
  ) async throws -> Task<Void, Never> {
    var worker = WorkerSettings(cluster: workerSettings, name: name, device: "none")
    worker.capacity = capacity
    worker.grace = .seconds(1)
    (worker.tilePatience, worker.tileOfferTime) = (.milliseconds(300), tileOfferTime)
    let made = try await Worker(
      worker, service: models ?? self.models, live: live, logger: Self.logger)
    let (joined, join) = AsyncStream.makeStream(of: Void.self)
    let task = Task<Void, Never> { _ = try? await made.run { join.yield() } }
    workers.withLock { $0.append(task) }
    for await _ in joined { break }
    while !(await gateway.workers() ?? []).contains(where: { $0.name == name }) {
      try await Task.sleep(for: .milliseconds(5))
    }
    while gateway.fleet.modelNames.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    return task
  }

  /// The port of the server's monitoring; 0 without it.
  var monitoringPort: Int { server.withLock { $0.monitoringPort ?? 0 } }
  /// The processor time that the server has taken.
  var serverSeconds: Double { server.withLock { $0.processorSeconds } }

  /// Ends the server as a power failure does.
  func killServer() { server.withLock { $0.kill() } }

  /// Starts the server again, with what it stored.
  func startServer() throws { try server.withLock { try $0.start() } }

  func stopWorkers() async {
    let stopped = workers.withLock { workers in
      defer { workers = [] }
      return workers
    }
    for worker in stopped { worker.cancel() }
    for worker in stopped { await worker.value }
  }

  func stop() async {
    await stopWorkers()
    await gateway.close()
  }

  /// An order as a request would give it.
  static func order(
    _ json: String, client: String = "me", urgency: ServiceOrder.Urgency = .awaited,
    deadline: Date? = nil, source: PixelImage? = nil, references: [PixelImage] = []
  ) throws -> ServiceOrder {
    let limits = ServerLimits()
    var fields = try RequestFields(json: Array(json.utf8), limits: limits.json)
    var order = try ImageOrder(&fields, limits: limits, isJob: urgency == .background)
    if let source { order.source = InputImage(image: source) }
    order.references = references
    return ServiceOrder(
      order, indices: nil, client: client, name: "r1", urgency: urgency, deadline: deadline)
  }

  /// What came of an order.
  struct Outcome {
    var files: [Int: String] = [:]
    var previews = 0
    var failures: [Int: String] = [:]
    var warnings: [ResponseWarning]?
  }

  /// Has an order made.
  func make(_ work: ServiceOrder) async throws -> Outcome {
    let outcome = Mutex(Outcome())
    try await gateway.make(work) { warnings in
      outcome.withLock { $0.warnings = warnings }
    } event: { event in
      outcome.withLock { outcome in
        switch event {
        case .preview: outcome.previews += 1
        case .finished(let picture, _):
          outcome.files[picture.index] = String(decoding: picture.file, as: UTF8.self)
        case .failed(let index, let error):
          outcome.failures[index] = (error as? ServerError)?.code ?? "\(error)"
        }
      }
    }
    return outcome.withLock { $0 }
  }

  var jobsLeft: Int {
    get async throws { try await gateway.layout.stream.info(of: ClusterNames.jobs).state.messages }
  }
}
