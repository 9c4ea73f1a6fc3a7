internal import ArgumentParser
internal import FlowEngine
internal import Foundation
internal import StreamFlow

/// The command `streamflow`.
@main
struct StreamFlowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "streamflow",
    abstract: "Generates images with rectified-flow models, many in flight at once.",
    discussion: """
      A first image:       streamflow generate "a fox on a blue background"
      Image to image:      streamflow edit photo.jpg "a fox"
      Video to video:      streamflow video clip.mp4 "a fox" --output fox.mp4
      In a browser:        streamflow serve
      About a model:       streamflow inspect starter
      Speed of a machine:  streamflow benchmark
      What is missing:     streamflow doctor

      Completions:      streamflow --generate-completion-script bash|zsh|fish
      Environment:      STREAMFLOW_OPENVINO (the folder of the OpenVINO runtime), \
      STREAMFLOW_CACHE (the folder of compiled engines), STREAMFLOW_CACHE_LIMIT (its maximum \
      size, such as 8GB, or off), STREAMFLOW_PRECISION (the default of --precision), \
      STREAMFLOW_MODELS (a folder of models that --model takes by name), \
      STREAMFLOW_STARTER (a folder of the model named starter, in place of the embedded one), \
      HF_HOME (the folder of Hugging Face's cache and token), \
      HF_TOKEN (a token for private and gated models), HF_ENDPOINT (the hub to pull from), \
      STREAMFLOW_NATS (the NATS client library)
      """,
    version: streamFlowVersion,
    subcommands: [
      GenerateCommand.self, TransformCommand.self, UpscaleCommand.self, VideoCommand.self,
      MergeCommand.self, ServeCommand.self, WorkerCommand.self, InspectCommand.self,
      PullCommand.self,
      ConfigureCommand.self, QuantizeCommand.self, BenchmarkCommand.self,
      CacheCommand.self, DevicesCommand.self, DoctorCommand.self, BenchmarkWorkerCommand.self,
    ])

  /// The prefix of error messages, the same for the parser's as for all others.
  static var _errorPrefix: String { "error: " }

  /// Parses the arguments, runs the command, and exits.
  static func main() async {
    let (current, retired) = RetiredNames.current(Array(CommandLine.arguments.dropFirst()))
    let arguments = ArgumentList.joiningNegativeNumbers(in: current)
    if !arguments.contains("--quiet"), !arguments.contains("--json") {
      for note in retired { Terminal.note(note) }
    }
    var runs: [ConfiguredRun] = []
    do {
      if let problem = CommandNames.problem(in: arguments, root: Self.self) {
        throw ValidationError(problem)
      }
      runs = try ConfiguredRun.all(of: arguments, root: Self.self)
    } catch {
      leave(report(error))
    }
    await leave(code(of: runs))
  }

  /// Closes what is open, and exits.
  private static func leave(_ code: ExitCode) -> Never {
    ExitGate.shared.close()
    Self.exit(withError: code)
  }

  /// Prints a failure's message, and returns its exit code.
  ///
  /// - Parameters:
  ///   - failure: the failure; help and the version are failures too.
  ///   - run: the run that failed; nil if there was none yet.
  ///   - type: the command that ran; nil if the arguments were not understood.
  static func report(
    _ failure: any Error, in run: ConfiguredRun? = nil, of type: (any ParsableCommand.Type)? = nil
  ) -> ExitCode {
    let failure = run?.failure(from: message(for: failure)) ?? failure
    let code = (failure as? CommandFailure)?.exitCode ?? exitCode(for: failure)
    var text = Self.text(of: failure)
    if code.isSuccess {
      Terminal.output(text)
    } else if !text.isEmpty {
      if let type, let error = failure as? ValidationError {
        // The parser only knows the root command here.
        text = "\(_errorPrefix)\(error.message)\n\(usage(of: type))"
      }
      text = ForeignOptions.hinted(text)
      Terminal.note(failure is CommandFailure ? text : run?.annotated(text) ?? text)
    }
    return code
  }

  /// A message as wide as the terminal, or as its longest example: a wrapped example cannot be
  /// copied, but the terminal may wrap it.
  private static func text(of failure: any Error) -> String {
    let examples = fullMessage(for: failure, columns: 100_000).split(separator: "\n").filter {
      $0.hasPrefix("  ") && !$0.hasPrefix("   ") && !$0.hasPrefix("  -")
        && $0.contains("streamflow ")
    }
    let widest = examples.map(\.count).max() ?? 0
    // The parser checks the width before the line break, so that one column more is needed.
    return fullMessage(for: failure, columns: max(Terminal.columns, 80, widest + 1))
  }

  private static func usage(of type: any ParsableCommand.Type) -> String {
    let name = type.configuration.commandName ?? ""
    return "Usage: \(usageString(for: type))\n"
      + "  See 'streamflow \(name) --help' for more information."
  }
}
