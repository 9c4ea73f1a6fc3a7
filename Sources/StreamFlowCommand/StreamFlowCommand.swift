internal import ArgumentParser
internal import StreamFlow

/// The command `streamflow`.
@main
struct StreamFlowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "streamflow",
    abstract: "Makes pictures with rectified-flow models, many in flight at once.",
    discussion: """
      A first picture:  streamflow generate "a fox on a blue background"
      Of a picture:     streamflow transform photo.jpg "a fox on a blue background"
      Of a video:       streamflow video clip.mp4 "a fox on a blue background" --output fox.mp4
      In a browser:     streamflow serve
      What a model is:  streamflow inspect starter
      How fast it is:   streamflow benchmark

      Completions:      streamflow --generate-completion-script bash|zsh|fish
      Environment:      STREAMFLOW_OPENVINO (the folder of the OpenVINO runtime), \
      STREAMFLOW_CACHE (the folder of compiled engines), STREAMFLOW_MODELS (a folder of models \
      that --model takes by name), HF_HOME (the folder of Hugging Face's cache and token), \
      HF_TOKEN (a token for private and gated models), HF_ENDPOINT (the hub to pull from)
      """,
    version: streamFlowVersion,
    subcommands: [
      GenerateCommand.self, TransformCommand.self, VideoCommand.self,
      ServeCommand.self, InspectCommand.self, PullCommand.self,
      AdoptCommand.self, QuantizeCommand.self, BenchmarkCommand.self,
      CacheCommand.self, BenchmarkWorkerCommand.self,
    ])
}
