internal import ArgumentParser
internal import Foundation

extension StreamFlowCommand {
  /// Runs commands one after another, and returns the exit code: that of the first failure.
  ///
  /// Several runs are all parsed before the first begins. A failed run does not stop the ones after
  /// it; Ctrl-C does.
  static func code(of runs: [ConfiguredRun]) async -> ExitCode {
    if runs.count > 1, let code = problem(in: runs) { return code }
    var failures: [(run: String, code: ExitCode)] = []
    for (index, run) in runs.enumerated() {
      let name = run.source?.run ?? ""
      if runs.count > 1, !run.isSilent {
        Terminal.note("run '\(name)' (\(index + 1) of \(runs.count))")
      }
      var type: (any ParsableCommand.Type)?
      do {
        var command = try parseAsRoot(run.arguments)
        type = Swift.type(of: command)
        if var asynchronous = command as? any AsyncParsableCommand {
          try await asynchronous.run()
        } else {
          try command.run()
        }
      } catch {
        let code = report(error, in: run, of: type)
        if code == ExitStatus.interrupted { return code }
        if !code.isSuccess { failures.append((name, code)) }
      }
    }
    if runs.count > 1, !failures.isEmpty {
      let names = failures.map { "'\($0.run)'" }.joined(separator: ", ")
      Terminal.error("\(failures.count) of \(runs.count) runs failed: \(names)")
    }
    return failures.first?.code ?? .success
  }

  /// Reports the first run that cannot be parsed, or a command that takes one run.
  private static func problem(in runs: [ConfiguredRun]) -> ExitCode? {
    for run in runs {
      do {
        guard try parseAsRoot(run.arguments) is any RunsUntilStopped else { continue }
      } catch {
        return report(error, in: run)
      }
      return report(ConfiguredRun.failure(ofServing: runs))
    }
    return nil
  }
}

extension ConfiguredRun {
  /// Whether nothing but errors and the command's own output is printed.
  fileprivate var isSilent: Bool {
    arguments.prefix { $0 != "--" }.contains { $0 == "--quiet" || $0 == "--json" }
  }

  /// The failure of several runs of a command that runs until it is stopped.
  fileprivate static func failure(ofServing runs: [ConfiguredRun]) -> CommandFailure {
    let names = runs.compactMap(\.source?.run).joined(separator: ", ")
    let source = runs.first?.source
    return CommandFailure(
      "'\(source?.path ?? "")' has several runs, and '\(source?.table.command ?? "")' takes one; "
        + "choose it with --run: \(names)", code: EX_USAGE)
  }
}
