#if Server
  internal import ArgumentParser
  internal import FlowCluster
  internal import FlowModels
  internal import FlowServer
  internal import Foundation
  internal import Logging
  internal import StreamFlow

  /// `streamflow serve`: images and live streams over HTTP, and a web page.
  struct ServeCommand: AsyncParsableCommand, RunsUntilStopped {
    static let configuration = CommandConfiguration(
      commandName: "serve", abstract: "Serve images and live streams over HTTP, with a web page.",
      discussion: """
        Open the printed address in a browser, or use it as OpenAI's images API. \
        Only this machine can reach it unless --host says otherwise, which needs a token. SIGTERM \
        and Ctrl-C stop it.

        Examples:
          streamflow serve
          streamflow serve --model starter --model portraits=models/sd15,lora=film.safetensors:0.8
          streamflow serve --model sd15 --adapter control_canny.safetensors
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
        A model in any form that `generate` accepts, optionally with a name, LoRAs and adapters; \
        repeat for several, of which the first is the default.
        """, valueName: "[name=]model[,lora=file[:scale]][,adapter=file[,adapter-mode=number]]"),
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

    @OptionGroup(title: "Adapters") var adapterOptions: ServedAdapterOptions
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

    @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

    func validate() throws {
      guard (0...65535).contains(port) else {
        throw ValidationError("--port must be 0 to 65535, got \(port)")
      }
      guard clusterOptions.cluster == nil || (models.isEmpty && adapterOptions.adapters.isEmpty)
      else {
        throw ValidationError(
          "with --cluster, workers have the models: give --model, with its adapters, to "
            + "`streamflow worker`")
      }
    }

    func run() async throws {
      try await reporting {
        let offered = try adapterOptions.applied(
          to: models.isEmpty ? [OfferedModel(name: "starter", path: "starter")] : models)
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
          options.upscaler = try await upscalerOptions.chosen(on: options.devices[0])
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
#endif
