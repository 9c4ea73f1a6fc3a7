import FlowHub
import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowServer
@testable import StreamFlowCommand

/// The libraries' messages name no options; the command adds them.
@Suite(.tags(.process)) struct RemedyTests {
  private static let settings: [ModelError.Setting] = [
    .model, .download(nil, revision: nil), .packageFolder, .autoencoder, .upscaler, .variant,
    .adapters, .references, .skipLayers, .network, .textEncoder,
    .deltaWeights, .quantization, .schedule, .promptSyntax, .size, .rowCapacity, .tileSize,
    .frameBuffer, .decodeBatch, .share,
  ]

  @Test("Every option that an error's remedy names is one of the command's")
  func options() throws {
    let help = try CommandRunner().run(["--experimental-dump-help"]).output
    let names =
      Self.settings.flatMap(Remedy.options)
      + HubError.Setting.allCases.map(Remedy.option)
      + ServerSetupError.Setting.allCases.map(Remedy.option)
    for text in names {
      let words = text.split(separator: " ").map {
        $0.trimmingCharacters(in: CharacterSet(charactersIn: "`-"))
      }
      guard words[0] != "make" else { continue }
      let name = words[0] == "streamflow" ? words[1] : words[0]
      #expect(help.contains("\"\(name)\""), "\(text)")
    }
  }

  @Test("A model that is not there can be downloaded, as the command does it")
  func download() throws {
    let name = try #require(HubModelName("org/name"))
    #expect(
      Remedy.options(.download(name, revision: "v1"))
        == ["`streamflow pull org/name --revision v1`"])
    let runner = try CommandRunner()
    let absent = try runner.run(["inspect", "org/name"])
    #expect(absent.status == 66)
    #expect(absent.error.hasSuffix(" (--model, `streamflow pull org/name`)\n"), "\(absent.error)")
  }

  @Test("Errors with nothing to set stay as they are")
  func plain() {
    #expect(Remedy.words(CancellationError()) == "\(CancellationError())")
    #expect(Remedy.words("words", .size) == "words (--width, --height)")
  }

  @Test("No text of a library's names an option or the command")
  func literals() throws {
    let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Sources")
    let targets = [
      "FlowCore", "FlowGraph", "FlowText", "FlowEngine", "FlowOpenVINO", "FlowModels",
      "StreamFlow", "FlowImage", "FlowVideo", "FlowDigest", "FlowHub", "FlowServer",
    ]
    var count = 0
    for target in targets {
      let folder = sources.appending(path: target)
      let files = try #require(FileManager.default.enumerator(atPath: folder.path))
      for case let path as String in files where path.hasSuffix(".swift") {
        let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
        count += 1
        for line in text.split(separator: "\n") {
          guard let start = line.firstIndex(of: "\""),
            !line.trimmingCharacters(in: .whitespaces).hasPrefix("//")
          else { continue }
          let literal = line[start...]
          // The boundary of a motion JPEG's parts.
          guard !literal.hasPrefix("\"--frame\\r") else { continue }
          #expect(
            !literal.contains(#/["' (`]--[a-z]/#) && !literal.contains("`streamflow"),
            "\(target)/\(path): \(line)")
        }
      }
    }
    #expect(count > 200)
  }
}
