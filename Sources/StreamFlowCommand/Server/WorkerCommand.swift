#if Server
  internal import ArgumentParser
  internal import FlowCluster
  internal import FlowEngine
  internal import FlowModels
  internal import FlowNATS
  internal import FlowServer
  internal import Foundation
  internal import Logging
  internal import StreamFlow

  /// `streamflow worker`: makes the images of a fleet's queue.
  struct WorkerCommand: AsyncParsableCommand, RunsUntilStopped {
    static let configuration = CommandConfiguration(
      commandName: "worker", abstract: "Make the images of a fleet's queue.",
      discussion: """
        `streamflow serve --cluster` takes requests and needs no model; workers on any hosts make the \
        images. A worker that ends, however it ends, loses nothing: others make its images. SIGTERM and \
        Ctrl-C stop it when what it makes is finished.

        Examples:
          nats-server --jetstream
          streamflow serve --cluster nats://127.0.0.1:4222
          streamflow worker --cluster nats://127.0.0.1:4222 --model starter
        """)

    @OptionGroup(title: "Fleet") var clusterOptions: ClusterOptions

    @Option(
      help: ArgumentHelp(
        "The worker's unique name (default: host and process).",
        valueName: "name"))
    var name: String?

    @Option(
      name: .customLong("model"),
      help: ArgumentHelp(
        "A model, as `serve` takes it; repeat for several.",
        valueName: "[name=]model[,lora=file[:scale]][,adapter=file[,adapter-mode=number]]"),
      completion: .file())
    var models: [OfferedModel] = []

    @Option(
      help: "The autoencoder of all models: auto, full, tiny, or a path.", completion: .file())
    var vae = AutoencoderChoice.automatic

    @Option(help: "The most batch rows of a network call (default: by the size of the images).")
    var maxRows: Int?

    @Option(
      help: "The most images that it holds (default: half as many again as a batch has rows).")
    var images: Int?

    @Option(help: "Seconds that what is being made has when the worker is stopped.")
    var grace = 10

    @OptionGroup(title: "Live streams") var liveOptions: WorkerLiveOptions
    @OptionGroup(title: "Upscaling") var upscalerOptions: UpscalerOptions
    @OptionGroup(title: "Engine") var engineOptions: DeviceOptions

    @Option(help: "How much is logged: debug, info, warning or error.")
    var logLevel = ServeCommand.LogLevel.info

    @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

    func validate() throws {
      guard clusterOptions.cluster != nil else {
        throw ValidationError("Missing --cluster. Try: --cluster nats://127.0.0.1:4222")
      }
      if let maxRows, !(2...256).contains(maxRows) {
        throw ValidationError("--max-rows must be 2 to 256, got \(maxRows)")
      }
      if let images, !(1...1024).contains(images) {
        throw ValidationError("--images must be 1 to 1024, got \(images)")
      }
      guard grace >= 0 else { throw ValidationError("--grace must be 0 or more, got \(grace)") }
    }

    func run() async throws {
      try await reporting {
        let offered = models.isEmpty ? [OfferedModel(name: "starter", path: "starter")] : models
        try OfferedModel.checkNames(offered)
        let name = name ?? "\(ProcessInfo.processInfo.hostName)-\(getpid())"
        guard let cluster = clusterOptions.settings(name: name) else { return }
        var options = ServerOptions(
          models: offered.map { $0.served(vae: vae, applying: engineOptions.scaling) })
        options.rowCapacity = maxRows
        // The gateway has checked sizes and steps.
        options.limits.streamCount = liveOptions.maxStreams
        options.devices = try engineOptions.engines()
        options.placement = try engineOptions.placement()
        options.upscaler = try await upscalerOptions.chosen(on: options.devices[0])
        logLevel.bootstrap()
        signal(SIGPIPE, SIG_IGN)
        let logger = Logger(label: "streamflow")
        var settings = WorkerSettings(
          cluster: cluster, name: name,
          device: options.devices.map(\.device.description).joined(separator: ","))
        settings.capacity = images
        settings.grace = .seconds(grace)
        let service = LocalImageService(options, logger: logger)
        let live = try await liveOptions.address(cluster: cluster.nats.url).map { address in
          try LiveEndpoint(
            address, worker: name, service: service, options: options, logger: logger)
        }
        let worker = try await Worker(settings, service: service, live: live, logger: logger)
        try await Interrupt.cancelling {
          try await worker.run { Terminal.note("joined as \(name)") }
        }
      }
    }
  }
#endif
