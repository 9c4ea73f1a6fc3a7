internal import ArgumentParser
internal import Foundation
internal import StreamFlow

/// `streamflow doctor`: what this machine has, and what is missing.
struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check what this machine has and what is missing.",
    discussion: """
      Lists the version, processor, memory, runtimes, devices with the precision that is chosen for \
      each, caches, codecs, ffmpeg and the NATS library, and generates an image of the starter. \
      What is missing comes with its remedy. The exit status is 0 if images can be generated with \
      the defaults, else 1.

      Examples:
        streamflow doctor
        streamflow doctor --json
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let version: String
    let works: Bool
    let checks: [DoctorCheck]
  }

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func run() async throws {
    try await reporting {
      let machine = DoctorMachine()
      var checks = machine.checks() + machine.runtimes() + machine.precision() + machine.storage()
      checks += await DoctorPrograms().checks()
      checks += await DoctorImage().checks()
      let works = !checks.contains { $0.state == .failed }
      if json {
        let report = Report(version: streamFlowVersion, works: works, checks: checks)
        Terminal.output(try JSON.text(of: report))
      } else {
        let width = checks.map(\.name.count).max() ?? 0
        for line in checks.flatMap({ $0.lines(nameWidth: width) }) { Terminal.output(line) }
        Terminal.output(works ? "images can be generated" : "images cannot be generated")
      }
      if !works { throw ExitCode.failure }
    }
  }
}
