#if Server
  internal import ArgumentParser
  internal import FlowModels
  internal import FlowServer
  internal import StreamFlow

  /// A model with its name in requests: `film=sd15,lora=film.safetensors:0.8,adapter=canny.safetensors`.
  struct OfferedModel: ExpressibleByArgument {
    let name: String
    let path: String
    var loras: [WeightAddition] = []
    var adapters = ServedAdapters()

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
        guard let equals = part.firstIndex(of: "=") else { return nil }
        let value = String(part[part.index(after: equals)...])
        guard !value.isEmpty else { return nil }
        switch part[..<equals] {
        case "lora":
          guard let lora = WeightAddition(argument: value) else { return nil }
          loras.append(lora)
        case "adapter": adapters.files.append(.init(path: value))
        case "adapter-mode":
          // Of the adapter before it, once.
          guard let mode = AdapterModeArgument(argument: value),
            let last = adapters.files.indices.last, adapters.files[last].mode == nil
          else { return nil }
          adapters.files[last].mode = mode.mode
        case "image-encoder": adapters.imageEncoder = value
        default: return nil
        }
      }
    }

    /// Refuses two models of one name.
    static func checkNames(_ offered: [OfferedModel]) throws {
      let names = offered.map(\.name)
      guard let twice = names.first(where: { name in names.count { $0 == name } > 1 }) else {
        return
      }
      throw ValidationError(
        "two models are named '\(twice)'; give one another name: --model other=\(twice)")
    }

    func served(
      vae: AutoencoderChoice,
      applying scaling: @escaping @Sendable (Checkpoint) throws -> Checkpoint
    ) -> ServedModel {
      let (path, loras, adapters) = (path, loras, adapters)
      return ServedModel(name: name) {
        let checkpoint = try scaling(
          Checkpoint.named(path, autoencoder: vae).applying(loras: loras, deltas: []))
        return try adapters.attached(to: checkpoint)
      }
    }
  }

  /// The adapters that the requests of a served model may use.
  struct ServedAdapters: Sendable {
    struct File: Equatable {
      let path: String
      var mode: Int?
    }

    var files: [File] = []
    var imageEncoder: String?
    var guesses = false

    /// The model with them.
    func attached(to checkpoint: Checkpoint) throws -> Checkpoint {
      guard !files.isEmpty else { return checkpoint }
      return try checkpoint.attaching(
        files.map {
          try AdapterFile(
            recognizing: $0.path, imageEncoder: imageEncoder, guesses: guesses, mode: $0.mode)
        })
    }
  }

  /// The option `--adapter` of `serve`.
  struct ServedAdapterOptions: ParsableArguments {
    @Option(
      name: .customLong("adapter"),
      help: ArgumentHelp(
        """
        A ControlNet, T2I-Adapter or IP-Adapter (.safetensors file, or folder in diffusers' layout) of \
        the model, which requests name in `controls`; repeat for several. With several models, --model \
        names the adapters of each.
        """, valueName: "file"),
      completion: .file())
    var adapters: [String] = []

    @Option(help: "The folder of an IP-Adapter's image encoder (default: the one beside its file).")
    var imageEncoder: String?

    @Option(
      name: .customLong("adapter-mode"),
      help: ArgumentHelp(
        """
        The kind of control image that the ControlNet at the same position in the list reads, if \
        it is a union of several kinds: its number, from 0; or none.
        """, valueName: "number"))
    var modes: [AdapterModeArgument] = []

    @Flag(help: "Let ControlNets act on the conditional prediction alone (guess mode).")
    var guessMode = false

    func validate() throws {
      guard !adapters.isEmpty else { return }
      try AdapterModeArgument.check(modes, of: adapters.count)
    }

    /// The models with the adapters.
    func applied(to offered: [OfferedModel]) throws -> [OfferedModel] {
      guard !adapters.isEmpty else {
        guard imageEncoder == nil, !guessMode, modes.isEmpty else {
          throw ValidationError("--image-encoder, --adapter-mode and --guess-mode need --adapter")
        }
        return offered
      }
      guard offered.count == 1, var model = offered.first else {
        throw ValidationError(
          "--adapter belongs to one model, and there are \(offered.count); give each model its own: "
            + "--model \(offered[0].name),adapter=\(adapters[0])")
      }
      model.adapters.files += adapters.indices.map { index in
        .init(path: adapters[index], mode: modes.isEmpty ? nil : modes[index].mode)
      }
      model.adapters.imageEncoder = imageEncoder ?? model.adapters.imageEncoder
      model.adapters.guesses = guessMode
      return [model]
    }
  }
#endif
