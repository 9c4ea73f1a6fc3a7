public import FlowEngine
public import FlowModels
internal import Foundation
public import StreamFlow

/// A model that a server offers.
public struct ServedModel: Sendable {
  /// The name of the model in requests.
  public let name: String
  /// Loads the model from disk.
  public let load: @Sendable () throws -> Checkpoint

  /// Offers a model under a name.
  public init(name: String, load: @escaping @Sendable () throws -> Checkpoint) {
    self.name = name
    self.load = load
  }
}

/// The limits of what clients may send and use; each has its own error code.
public struct ServerLimits: Sendable {
  /// The maximum size of a body in bytes.
  public var bodyByteCount = 32 << 20
  /// The maximum size of a JSON document in bytes: a body, which may contain images in base64, a form
  /// field, a WebSocket text message.
  public var jsonByteCount = 6 << 20
  /// The maximum number of values in a JSON document, without the prompts of a job.
  public var jsonValueCount = 4096
  /// The maximum memory in bytes for the bodies and decoded images of all requests; requests beyond
  /// it get status 429.
  ///
  /// It must exceed twice the largest body.
  public var requestMemoryByteCount = 512 << 20
  /// The maximum size of a request's headers in bytes.
  public var headerByteCount = 16 << 10
  /// The maximum number of pixels of an input image, checked before decoding.
  public var imagePixelCount = 16_000_000
  /// The maximum number of characters of a prompt.
  public var promptLength = 4000
  /// The maximum number of images per request.
  public var imageCount = 16
  /// The maximum number of images per job.
  public var jobImageCount = 1000
  /// The maximum number of steps.
  public var stepCount = 100
  /// The maximum width and height of a generated image in pixels.
  public var side = 1024
  /// The maximum number of pixels of a request's images together after upscaling; jobs, whose images
  /// are stored one after another, have none.
  public var upscaledPixelCount = 64 << 20
  /// The maximum number of requested images that are not finished.
  public var queuedImageCount = 1024
  /// The permitted image sizes.
  ///
  /// The first is the default for models whose own size is not among them. If it is empty, all
  /// sizes within ``side`` are permitted.
  ///
  /// Each size needs its own engines.
  public var allowedSizes: [(width: Int, height: Int)] = []
  /// The maximum number of sizes and live streams that wait for the preparation of their engines.
  public var waitingPreparationCount = 8
  /// The maximum number of live streams.
  public var streamCount = 2
  /// The maximum number of unfinished jobs.
  public var jobCount = 64
  /// The maximum duration of a request.
  public var requestTime = Duration.seconds(600)
  /// The maximum time for a request to arrive.
  public var readTime = Duration.seconds(30)
  /// How long a connection that is being closed discards further input, so that the client receives
  /// its response.
  public var lingerTime = Duration.seconds(2)
  /// The maximum time for which a client may read nothing of its response.
  public var writeTime = Duration.seconds(30)
  /// The maximum time for which a connection may be silent.
  public var idleTime = Duration.seconds(60)
  /// The maximum number of connections.
  public var connectionCount = 512
  /// The maximum number of connections per address, or per IPv6 network of 64 bits; connections of
  /// trusted proxies are not counted.
  public var connectionCountPerAddress = 256
  /// The maximum size of a WebSocket message in bytes.
  public var socketMessageByteCount = 8 << 20
  /// How long a live stream may be idle before it is ended.
  public var streamIdleTime = Duration.seconds(30)
  /// How long finished images are stored.
  public var resultTime = Duration.seconds(3600)
  /// The maximum total size of stored finished images in bytes.
  public var resultByteCount = 1 << 30
  /// How long a job is available after its end.
  public var jobTime = Duration.seconds(3600)
  /// The maximum total size of all jobs' images in bytes; beyond it, the jobs that ended first are
  /// removed.
  public var jobByteCount = 1 << 30
  /// The maximum number of ended jobs; beyond it, those that ended first are removed.
  public var endedJobCount = 1000

  /// Creates limits for a personal machine.
  public init() {}

  /// The limits of a JSON document.
  var json: JSONLimits {
    JSONLimits(
      byteCount: min(jsonByteCount, bodyByteCount), valueCount: jsonValueCount + jobImageCount)
  }
}

/// The configuration of a server.
public struct ServerOptions: Sendable {
  /// The address to listen at.
  public var host = "127.0.0.1"
  /// The port to listen at; 0 for any free port.
  public var port = 8188
  /// The models; the first is the default.
  public var models: [ServedModel]
  /// Whether requests may use OpenAI's model names (`gpt-image-1`, `dall-e-3`).
  ///
  /// They then use the first model, unless one has that name, and the response contains a warning.
  public var acceptsOpenAINames = true
  /// The file of the token that requests must contain, if any.
  public var tokenFile: String?
  /// Host names of the server besides its addresses.
  public var hostNames: [String] = []
  /// Origins of other pages that may use the server.
  public var origins: [String] = []
  /// The address at which clients reach the server through a proxy, such as
  /// `https://example.org/streamflow`; addresses in responses start with it.
  public var publicURL: String?
  /// The addresses and networks of proxies whose `Forwarded` and `X-Forwarded-*` headers are
  /// accepted.
  public var trustedProxies: [String] = []
  /// The upscaler of requests that ask for larger images; nil for the model's own, or Lanczos'
  /// filter for a model without one.
  public var upscaler: Upscaler?
  /// The maximum batch size; chosen by image size if nil.
  public var rowCapacity: Int?
  /// The memory budget of models in bytes, without those of live streams; half of the free memory
  /// if nil.
  public var memoryByteCount: Int?
  /// The folder of finished images.
  public var resultFolder = NSTemporaryDirectory()
  /// The folder in which jobs and their images are stored, so that they survive the process;
  /// without one, they end with it.
  public var stateFolder: String?
  /// How long images in flight may take to finish when the server is stopped.
  public var grace = Duration.seconds(10)
  /// Whether SIGTERM and SIGINT stop the server; if so, it must be the program's only task.
  public var endsBySignal = false
  /// The limits of what clients may send and use.
  public var limits = ServerLimits()
  /// The engines of each device, at least one: images go to all, a live stream to the one with the
  /// fewest.
  public var devices = [EngineStore.standard]
  /// The parts of models that have another device, for images.
  public var placement = DevicePlacement()

  /// Creates options for a server that only this machine can reach.
  ///
  /// - Precondition: there is at least one model.
  public init(models: [ServedModel]) {
    precondition(!models.isEmpty, "a server needs a model")
    self.models = models
  }

  /// Creates the options of a server whose images workers elsewhere make.
  package init(workersElsewhere: Void) { models = [] }

  /// Whether only this machine can reach the server.
  var isLoopback: Bool {
    Authority(host: host)?.isLoopback ?? false
  }
}
