public import FlowEngine
public import FlowModels
internal import Foundation
internal import StreamFlow

/// A model that a server offers.
public struct ServedModel: Sendable {
  /// The name that requests say.
  public let name: String
  /// Reads it from disk.
  public let load: @Sendable () throws -> Checkpoint

  /// Offers a model under a name.
  public init(name: String, load: @escaping @Sendable () throws -> Checkpoint) {
    self.name = name
    self.load = load
  }
}

/// What a server takes of its clients; each bound is answered with a status of its own.
public struct ServerLimits: Sendable {
  /// The most bytes of a body.
  public var bodyByteCount = 32 << 20
  /// The most bytes of a JSON document: a body, a form's field, a WebSocket's text message.
  public var jsonByteCount = 1 << 20
  /// The most values of a JSON document besides the prompts of a job.
  public var jsonValueCount = 4096
  /// The most bytes of memory that bodies and decoded images of all requests take together; what
  /// comes beyond it is answered with 429.
  ///
  /// It is more than twice the largest body.
  public var requestMemoryByteCount = 512 << 20
  /// The most bytes of a request's headers.
  public var headerByteCount = 16 << 10
  /// The most pixels of an image that comes in, counted before it is decoded.
  public var imagePixelCount = 16_000_000
  /// The most characters of a prompt.
  public var promptLength = 4000
  /// The most images of a request.
  public var imageCount = 16
  /// The most images of a job.
  public var jobImageCount = 1000
  /// The most steps.
  public var stepCount = 100
  /// The most pixels of a side of an image that is made.
  public var side = 1024
  /// The most images that are asked for and not made.
  public var queuedImageCount = 1024
  /// The sizes of images that are made, of which the first is the default of models whose own size
  /// is not among them; any within ``side`` where it is empty.
  ///
  /// Each size has engines of its own.
  public var allowedSizes: [(width: Int, height: Int)] = []
  /// The most sizes and live streams whose engines wait to be prepared, one after another.
  public var waitingPreparationCount = 8
  /// The most live streams.
  public var streamCount = 2
  /// The most jobs that run or wait.
  public var jobCount = 64
  /// The most time that a request takes.
  public var requestTime = Duration.seconds(600)
  /// The most time that a request takes to come in.
  public var readTime = Duration.seconds(30)
  /// How long a connection that is being closed discards what its client still sends, so that the
  /// client gets its answer.
  public var lingerTime = Duration.seconds(2)
  /// The most time that a client takes nothing of what is sent to it.
  public var writeTime = Duration.seconds(30)
  /// The most time that a connection is open and says nothing.
  public var idleTime = Duration.seconds(60)
  /// The most connections at once.
  public var connectionCount = 512
  /// The most connections at once of one address, or of one IPv6 network of 64 bits; proxies that are
  /// trusted are not counted.
  public var connectionCountPerAddress = 256
  /// The most bytes of a message on a WebSocket.
  public var socketMessageByteCount = 8 << 20
  /// How long a live stream is kept that nobody sends to.
  public var streamIdleTime = Duration.seconds(30)
  /// How long finished images are kept.
  public var resultTime = Duration.seconds(3600)
  /// The most bytes of finished images that are kept.
  public var resultByteCount = 1 << 30
  /// How long a job is available after its end.
  public var jobTime = Duration.seconds(3600)
  /// The most bytes of all jobs' images; the jobs that ended first are removed beyond it.
  public var jobByteCount = 1 << 30
  /// The most ended jobs; those that ended first are removed beyond it.
  public var endedJobCount = 1000

  /// Creates the bounds that suit a person's machine.
  public init() {}

  /// The limits of a JSON document.
  var json: JSONLimits {
    JSONLimits(
      byteCount: min(jsonByteCount, bodyByteCount), valueCount: jsonValueCount + jobImageCount)
  }
}

/// How a server is set up.
public struct ServerOptions: Sendable {
  /// The address to listen at.
  public var host = "127.0.0.1"
  /// The port to listen at; 0 for any that is free.
  public var port = 8188
  /// The models, the first of which requests mean that name none.
  public var models: [ServedModel]
  /// Whether requests may name OpenAI's models (`gpt-image-1`, `dall-e-3`), which then mean the first
  /// model unless one has that name; their answers carry a warning.
  public var acceptsOpenAINames = true
  /// The file of the token that requests must carry, if any.
  public var tokenFile: String?
  /// Names besides its addresses that the server is known by.
  public var hostNames: [String] = []
  /// Origins of other pages that may use the server.
  public var origins: [String] = []
  /// Where clients reach the server through a proxy, such as `https://example.org/streamflow`; the
  /// addresses that it answers with begin so.
  public var publicURL: String?
  /// The addresses and networks of proxies whose `Forwarded` and `X-Forwarded-*` headers are taken.
  public var trustedProxies: [String] = []
  /// The most rows of a tick; by the size of the images where nothing is said.
  public var rowCapacity: Int?
  /// The bytes of memory that models may take together, without those of live streams; half of what
  /// is free where nothing is said.
  public var memoryByteCount: Int?
  /// The folder in which finished images are kept.
  public var resultFolder = NSTemporaryDirectory()
  /// The folder in which jobs and their images are stored, so that they outlive the process; without
  /// one they end with it.
  public var stateFolder: String?
  /// How long what is in flight has to finish when the server is told to stop.
  public var grace = Duration.seconds(10)
  /// Whether SIGTERM and SIGINT stop the server, which is then the whole program's way to end.
  public var endsBySignal = false
  /// What is taken of clients.
  public var limits = ServerLimits()
  /// The engines of the device, on whose thread all generators and live streams run in turn.
  public var engines = EngineStore.standard

  /// Creates the options of a server on this machine alone.
  ///
  /// - Precondition: there is a model.
  public init(models: [ServedModel]) {
    precondition(!models.isEmpty, "a server needs a model")
    self.models = models
  }

  /// Whether only this machine can reach the server.
  var isLoopback: Bool {
    Authority(host: host)?.isLoopback ?? false
  }
}
