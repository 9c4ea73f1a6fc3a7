#if !Server
  internal import ArgumentParser
  internal import Foundation

  /// `streamflow serve` in a build without the package trait `Server`.
  struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "serve", abstract: "Serves a web page and an API (not in this build).")

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() async throws { try await reporting { throw AbsentServer.failure(of: "serve") } }
  }

  /// `streamflow worker` in a build without the package trait `Server`.
  struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "worker", abstract: "Makes images for a cluster (not in this build).")

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() async throws { try await reporting { throw AbsentServer.failure(of: "worker") } }
  }

  private enum AbsentServer {
    static func failure(of command: String) -> CommandFailure {
      CommandFailure(
        "this build has no server, which '\(command)' needs; run "
          + "`swift build -c release --product streamflow` in the checkout, or Scripts/streamflow "
          + "in place of this program, which builds it first", code: EX_UNAVAILABLE)
    }
  }
#endif
