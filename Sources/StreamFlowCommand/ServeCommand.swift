internal import ArgumentParser
internal import FlowCluster
internal import FlowModels
internal import FlowServer
internal import Foundation
internal import Logging
internal import StreamFlow

/// `streamflow serve`: images and live streams over HTTP, and a web page.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Serve images and live streams over HTTP, with a web page.",
    discussion: """
      Open the printed address in a browser, or use it as OpenAI's images API. \
      Only this machine can reach it unless --host says otherwise, which needs a token. SIGTERM \
      and Ctrl-C stop it.

      Examples:
        streamflow serve
        streamflow serve --model starter --model portraits=models/sd15,lora=film.safetensors:0.8
        streamflow serve --state jobs
        streamflow serve --cluster nats://127.0.0.1:4222
        streamflow serve --host 0.0.0.0 --token-file token.txt --allow-host images.example.org
        curl localhost:8188/v1/images/generations --json '{"prompt": "a fox"}'
      """)

  @Option(help: "The address to listen at.")
  var host = "127.0.0.1"

  @Option(help: "The port to listen at; 0 for any that is free.")
  var port = 8188

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      """
      A model in any form that `generate` accepts, optionally with a name and LoRAs; repeat \
      for several, of which the first is the default.
      """, valueName: "[name=]model[,lora=file[:scale]]"),
    completion: .file())
  var models: [OfferedModel] = []

  @Flag(
    help: """
      Refuse the names of OpenAI's models (gpt-image-1, dall-e-3). Without it they mean the first \
      model.
      """)
  var strictModels = false

  @Option(
    help: "The autoencoder of all models: auto, full, tiny, or a path.",
    completion: .file())
  var vae = AutoencoderChoice.automatic

  @Option(
    help: ArgumentHelp("A file with the access token in its first line.", valueName: "file"),
    completion: .file())
  var tokenFile: String?

  @Option(
    name: .customLong("allow-host"),
    help: ArgumentHelp("A host name of the server; repeat for several.", valueName: "name"))
  var hostNames: [String] = []

  @Option(
    name: .customLong("allow-origin"),
    help: ArgumentHelp(
      "An allowed cross-origin page (https://example.org).", valueName: "origin"))
  var origins: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      The server's URL behind a proxy (https://example.org/streamflow); URLs in \
      responses begin with it.
      """, valueName: "url"))
  var publicURL: String?

  @Option(
    name: .customLong("trusted-proxy"),
    help: ArgumentHelp(
      """
      The address or network (10.0.0.0/8) of a proxy whose Forwarded and X-Forwarded-* headers are \
      trusted; repeat for several.
      """, valueName: "address"))
  var trustedProxies: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      Store jobs and their images in this folder. They survive a restart, and unfinished \
      jobs continue. One server at a time can use it.
      """, valueName: "folder"),
    completion: .directory)
  var state: String?

  @OptionGroup(title: "Upscaling") var upscalerOptions: UpscalerOptions
  @OptionGroup(title: "Fleet") var clusterOptions: ClusterOptions
  @OptionGroup(title: "Limits") var bounds: ServerBounds
  @OptionGroup(title: "Engine") var engineOptions: DeviceOptions

  @Option(help: "Log level: debug, info, warning or error.")
  var logLevel = LogLevel.info

  enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case debug, info, warning, error
    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }

    /// Has all logs of the process go to standard error from this level on.
    func bootstrap() {
      let level = level
      LoggingSystem.bootstrap { label in
        var handler = StreamLogHandler.standardError(label: label)
        handler.logLevel = level
        return handler
      }
    }
  }

  func validate() throws {
    guard (0...65535).contains(port) else {
      throw ValidationError("--port must be 0 to 65535, got \(port)")
    }
    guard clusterOptions.cluster == nil || models.isEmpty else {
      throw ValidationError(
        "with --cluster, workers have the models: give --model to `streamflow worker`")
    }
  }

  func run() async throws {
    try await reporting {
      let offered = models.isEmpty ? [OfferedModel(name: "starter", path: "starter")] : models
      try OfferedModel.checkNames(offered)
      let vae = vae
      let cluster = clusterOptions.settings(name: "gateway")
      var options =
        cluster == nil
        ? ServerOptions(
          models: offered.map { $0.served(vae: vae, applying: engineOptions.scaling) })
        : ServerOptions(workersElsewhere: ())
      (options.host, options.port, options.tokenFile) = (host, port, tokenFile)
      (options.hostNames, options.origins) = (hostNames, origins)
      options.acceptsOpenAINames = !strictModels
      (options.publicURL, options.trustedProxies) = (publicURL, trustedProxies)
      options.endsBySignal = true
      options.stateFolder = state
      bounds.apply(to: &options)
      if cluster == nil {
        options.devices = try engineOptions.engines()
        options.placement = try engineOptions.placement()
        options.upscaler = try await upscalerOptions.upscaler(on: options.devices[0])
      }
      logLevel.bootstrap()
      // A client that has gone ends its own connection, not the process.
      signal(SIGPIPE, SIG_IGN)
      let logger = Logger(label: "streamflow")
      let server =
        if let cluster {
          try Server(
            options,
            service: try await ClusterService(
              cluster, acceptsOpenAINames: !strictModels, logger: logger), logger: logger)
        } else { try Server(options, logger: logger) }
      let state = state
      let address = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
      try await server.run { port in
        Terminal.note("listening on http://\(address):\(port)")
        if state == nil {
          Terminal.note(
            "jobs are lost when the server stops; --state FOLDER stores them and their images")
        }
      }
    }
  }
}

/// A model with its name in requests.
struct OfferedModel: ExpressibleByArgument {
  let name: String
  let path: String
  var loras: [WeightAddition] = []

  init(name: String, path: String) {
    self.name = name
    self.path = path
  }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    var place = parts[0]
    var name: String?
    if let equals = place.firstIndex(of: "=") {
      name = String(place[..<equals])
      place = String(place[place.index(after: equals)...])
    }
    // The default name of a folder is its own.
    let last = place.split(separator: "/").last.map(String.init) ?? place
    self.init(
      name: name ?? (place.hasPrefix("/") || place.hasPrefix(".") ? last : place), path: place)
    guard !self.name.isEmpty, !path.isEmpty else { return nil }
    for part in parts.dropFirst() {
      guard part.hasPrefix("lora="), let lora = WeightAddition(argument: String(part.dropFirst(5)))
      else { return nil }
      loras.append(lora)
    }
  }

  /// Refuses two models of one name.
  static func checkNames(_ offered: [OfferedModel]) throws {
    let names = offered.map(\.name)
    guard let twice = names.first(where: { name in names.count { $0 == name } > 1 }) else { return }
    throw ValidationError(
      "two models are named '\(twice)'; give one another name: --model other=\(twice)")
  }

  func served(
    vae: AutoencoderChoice, applying scaling: @escaping @Sendable (Checkpoint) throws -> Checkpoint
  ) -> ServedModel {
    let (path, loras) = (path, loras)
    return ServedModel(name: name) {
      try scaling(Checkpoint.named(path, autoencoder: vae).applying(loras: loras, deltas: []))
    }
  }
}

/// An image size such as `512x768`.
struct AllowedSize: ExpressibleByArgument {
  let width: Int
  let height: Int

  init?(argument: String) {
    let parts = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let width = parts[0], let height = parts[1], width > 0, height > 0
    else { return nil }
    (self.width, self.height) = (width, height)
  }
}

/// Limits of the server.
struct ServerBounds: ParsableArguments {
  @Option(help: "Maximum batch rows of a network call (default: by the size of the images).")
  var maxRows: Int?

  @Option(help: "Maximum unfinished images.")
  var queue = ServerLimits().queuedImageCount

  @Option(
    help: """
      Maximum gigabytes of all models together; the least recently used are unloaded (default: \
      half of what is free).
      """)
  var memory: Double?

  @Option(help: "Seconds for unfinished requests when the server stops.")
  var grace = 10

  @Option(help: "Maximum images of a request.")
  var maxN = ServerLimits().imageCount

  @Option(help: "Maximum images of a job.")
  var maxJob = ServerLimits().jobImageCount

  @Option(help: "Maximum number of steps.")
  var maxSteps = ServerLimits().stepCount

  @Option(help: "Maximum side in pixels of a generated image.")
  var maxSide = ServerLimits().side

  @Option(help: "Maximum characters of a prompt.")
  var maxPrompt = ServerLimits().promptLength

  @Option(
    name: .customLong("allow-size"),
    help: ArgumentHelp(
      """
      An allowed image size; repeat for several, of which the first is the default of \
      models of another size (default: any).
      """, valueName: "WIDTHxHEIGHT"))
  var allowedSizes: [AllowedSize] = []

  @Option(help: "Maximum bytes of memory for the bodies and images of all requests together.")
  var maxRequestMemory = ServerLimits().requestMemoryByteCount

  @Option(help: "Maximum bytes of a body.")
  var maxBody = ServerLimits().bodyByteCount

  @Option(help: "Maximum bytes of a JSON body.")
  var maxJson = ServerLimits().jsonByteCount

  @Option(help: "Maximum pixels of an input image.")
  var maxPixels = ServerLimits().imagePixelCount

  @Option(help: "Maximum live streams.")
  var maxStreams = ServerLimits().streamCount

  @Option(help: "Maximum connections.")
  var maxConnections = ServerLimits().connectionCount

  @Option(help: "Maximum connections of one address.")
  var maxConnectionsPerAddress = ServerLimits().connectionCountPerAddress

  @Option(help: "Maximum seconds of a request.")
  var maxTime = 600

  @Option(
    help: """
      Seconds after which finished jobs and images with URLs are removed (default: 3600; for \
      jobs with --state 604800, a week).
      """)
  var keep: Int?

  @Option(
    help: ArgumentHelp(
      """
      Maximum gigabytes of images of jobs, and of images with URLs; the oldest are removed \
      (default: 1; for jobs with --state 10).
      """, valueName: "gigabytes"))
  var keepSize: Double?

  @Option(help: "Maximum finished jobs; the oldest are removed.")
  var keepJobs = ServerLimits().endedJobCount

  @Option(
    help: ArgumentHelp(
      """
      The parent of a temporary folder for images with URLs and, without --state, for jobs. \
      It is removed when the server ends.
      """, valueName: "folder"),
    completion: .directory)
  var results: String?

  func validate() throws {
    let numbers = [
      ("--queue", queue), ("--max-n", maxN), ("--max-job", maxJob), ("--max-steps", maxSteps),
      ("--max-side", maxSide), ("--max-prompt", maxPrompt), ("--max-body", maxBody),
      ("--max-request-memory", maxRequestMemory),
      ("--max-pixels", maxPixels), ("--max-streams", maxStreams),
      ("--max-json", maxJson), ("--max-connections", maxConnections),
      ("--max-connections-per-address", maxConnectionsPerAddress), ("--max-time", maxTime),
      ("--keep", keep ?? 1),
      ("--keep-jobs", keepJobs),
    ]
    for (name, number) in numbers where number < 1 {
      throw ValidationError("\(name) must be 1 or more, got \(number)")
    }
    guard maxSteps <= 1000 else {
      throw ValidationError("--max-steps must be at most 1000, got \(maxSteps)")
    }
    guard maxRequestMemory >= maxBody else {
      throw ValidationError(
        "--max-request-memory must be at least --max-body (\(maxBody)), got \(maxRequestMemory)")
    }
    if let size = allowedSizes.first(where: { max($0.width, $0.height) > maxSide }) {
      throw ValidationError(
        "--allow-size \(size.width)x\(size.height) is beyond --max-side (\(maxSide))")
    }
    guard grace >= 0 else { throw ValidationError("--grace must be 0 or more, got \(grace)") }
    if let keepSize, !(keepSize > 0 && keepSize < 1e6) {
      throw ValidationError("--keep-size must be above 0, got \(keepSize)")
    }
    if let memory, !(memory > 0 && memory < 1e6) {
      throw ValidationError("--memory must be above 0, got \(memory)")
    }
    if let maxRows, !(2...256).contains(maxRows) {
      throw ValidationError("--max-rows must be 2 to 256, got \(maxRows)")
    }
  }

  func apply(to options: inout ServerOptions) {
    options.rowCapacity = maxRows
    options.memoryByteCount = memory.map { Int($0 * 1e9) }
    options.grace = .seconds(grace)
    if let results { options.resultFolder = results }
    options.limits.queuedImageCount = queue
    options.limits.imageCount = maxN
    options.limits.jobImageCount = maxJob
    options.limits.stepCount = maxSteps
    options.limits.side = maxSide
    options.limits.promptLength = maxPrompt
    options.limits.bodyByteCount = maxBody
    options.limits.requestMemoryByteCount = maxRequestMemory
    options.limits.allowedSizes = allowedSizes.map { ($0.width, $0.height) }
    options.limits.imagePixelCount = maxPixels
    options.limits.streamCount = maxStreams
    options.limits.jsonByteCount = maxJson
    options.limits.connectionCount = maxConnections
    options.limits.connectionCountPerAddress = maxConnectionsPerAddress
    options.limits.requestTime = .seconds(maxTime)
    if options.stateFolder != nil {
      options.limits.jobTime = .seconds(7 * 24 * 3600)
      options.limits.jobByteCount = 10_000_000_000
    }
    if let keep {
      options.limits.resultTime = .seconds(keep)
      options.limits.jobTime = .seconds(keep)
    }
    if let keepSize {
      options.limits.resultByteCount = Int(keepSize * 1e9)
      options.limits.jobByteCount = Int(keepSize * 1e9)
    }
    options.limits.endedJobCount = keepJobs
  }
}
