#if Server
  internal import ArgumentParser
  internal import FlowCluster
  internal import FlowModels
  internal import FlowServer
  internal import Foundation
  internal import Logging
  internal import StreamFlow

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

    @Option(help: "Maximum live streams (default: 2; with --cluster as many as workers take).")
    var maxStreams: Int?

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
        ("--max-pixels", maxPixels), ("--max-streams", maxStreams ?? 1),
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
      // The text of an edit's images is in memory twice, beside the images themselves.
      guard maxRequestMemory / 3 >= maxBody else {
        throw ValidationError(
          "--max-request-memory must be at least three times --max-body (\(maxBody)), got "
            + "\(maxRequestMemory)")
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
      // The workers of a fleet have limits of their own.
      let isGateway = options.models.isEmpty
      options.limits.streamCount =
        maxStreams ?? (isGateway ? .max : options.limits.streamCount)
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
#endif
