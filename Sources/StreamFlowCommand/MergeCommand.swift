internal import ArgumentParser
internal import FlowImage
internal import Foundation

/// `streamflow merge`: joins the manifests of many processes.
struct MergeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Join the manifests of a distributed run.",
    discussion: """
      Each process of `streamflow generate --distributed` writes manifest-RANK-of-WORLD.jsonl, a \
      line for each image. The lines are joined in the order of the images; nothing is written \
      where an image is missing or named twice.

      Examples:
        streamflow merge out
        streamflow merge out/manifest-*-of-4.jsonl --output all.jsonl
      """)

  @Argument(
    help: "The folder of the images, or its manifest files.", completion: .file())
  var manifests: [String]

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("The file to write, or '-' for standard output.", valueName: "path"),
    completion: .file(extensions: ["jsonl"]))
  var output = "-"

  @Flag(help: "Replace an existing file.")
  var overwrite = false

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func run() async throws {
    try await reporting {
      let merged = try MergedManifest(MergedManifest.files(at: manifests))
      let bytes = try merged.bytes()
      guard output != "-" else {
        guard Terminal.output(bytes) else {
          throw MediaError(
            code: .fileUnwritable, message: "cannot write to standard output: the reader is gone")
        }
        return
      }
      guard try AtomicFile.write(bytes, to: output, overwriting: overwrite) else {
        throw MediaError(
          code: .fileUnwritable, message: "'\(output)' exists already; --overwrite replaces it")
      }
      Terminal.output("\(merged.lines.count) images: \(output)")
    }
  }
}
