import FlowCore
import FlowImage
import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowServer

/// Edits with reference images, of a tiny FLUX.2.
@Suite(.serialized, .tags(.engine)) struct ReferenceRouteTests {
  private static let model = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../FlowModelsTests/Fixtures/pipelines/flux2").standardizedFileURL.path

  private static func server() async throws -> RunningServer {
    try await RunningServer {
      $0.models = [ServedModel(name: "klein") { try Checkpoint(folder: model) }]
    }
  }

  private static func image(_ shade: UInt8) throws -> [UInt8] {
    try PixelImage(
      width: 64, height: 64, pixels: (0..<64 * 64 * 3).map { UInt8($0 % 97) &+ shade }
    ).png()
  }

  private static func form(
    _ port: Int, _ files: [[UInt8]], path: String = "/v1/images/edits",
    _ fields: [(String, String)] = []
  ) throws -> LoopbackClient.Answer {
    var body: [UInt8] = []
    let given = [
      ("prompt", "a fox"), ("steps", "1"), ("seed", "3"), ("size", "32x32"),
      ("guidance_scale", "1"),
    ]
    for (name, value) in given + fields {
      body += Array(
        "--x\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8)
    }
    for file in files {
      body += Array(
        ("--x\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n"
          + "Content-Type: image/png\r\n\r\n").utf8)
      body += file + Array("\r\n".utf8)
    }
    return try LoopbackClient.ask(
      port, "POST", path, headers: ["Content-Type": "multipart/form-data; boundary=x"],
      body: body + Array("--x--\r\n".utf8))
  }

  private static func picture(_ answer: LoopbackClient.Answer) throws -> [UInt8] {
    let text = try #require(answer["data", "0", "b64_json"] as? String, "\(answer.text)")
    return [UInt8](try #require(Data(base64Encoded: text)))
  }

  @Test("Images of a form and of JSON are references where the model reads them")
  func edits() async throws {
    let server = try await Self.server()
    let files = [try Self.image(0), try Self.image(100)]
    let both = try Self.picture(try Self.form(server.port, files))
    let first = try Self.picture(try Self.form(server.port, [files[0]]))
    let text = try #require(try ImageMetadata(of: both).parameters)
    #expect(text.contains("References: 2") && !text.contains("Denoising strength"), "\(text)")
    #expect(first != both)
    let urls = files.map {
      "{\"image_url\": \"data:image/png;base64,\(Data($0).base64EncodedString())\"}"
    }.joined(separator: ", ")
    let json = """
      {"prompt": "a fox", "steps": 1, "seed": 3, "size": "32x32", "guidance_scale": 1, \
      "images": [\(urls)]}
      """
    #expect(
      try Self.picture(
        LoopbackClient.ask(server.port, "POST", "/v1/images/edits", json: json)) == both)
    // A strength asks for image-to-image.
    let transformed = try Self.picture(
      try Self.form(server.port, [files[0]], [("strength", "0.5")]))
    #expect(
      try #require(try ImageMetadata(of: transformed).parameters)
        .contains("Denoising strength: 0.5, Fit: cover, Input hash: 64x64:"))
    let hashes = try files.map { try PixelImage(picture: $0).settingsHash }
    #expect(text.contains("Reference hashes: \(hashes[0]) \(hashes[1])"), "\(text)")
    let models = try LoopbackClient.ask(server.port, "GET", "/v1/models")
    #expect(models["data", "0", "streamflow", "max_references"] as? Int == 10, "\(models.text)")
    await server.stop()
  }

  @Test("What references do not go with is refused")
  func refusals() async throws {
    let server = try await Self.server()
    let file = try Self.image(0)
    func refused(
      _ answer: LoopbackClient.Answer, _ words: String,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(answer.status == 400, sourceLocation: sourceLocation)
      let message = answer["error", "message"] as? String ?? ""
      #expect(message.contains(words), "\(message)", sourceLocation: sourceLocation)
    }
    refused(
      try Self.form(server.port, [file, file], [("strength", "0.5")]),
      "one 'image' is supported with 'strength'")
    refused(
      try Self.form(server.port, [file], [("method", "instruct"), ("strength", "0.5")]),
      "without 'strength' and 'mask'")
    refused(
      try Self.form(server.port, [file], [("method", "sdedit"), ("reference_area", "900")]),
      "'reference_area' is the area of references")
    refused(
      try Self.form(server.port, [[UInt8]](repeating: file, count: 11)), "at most 10 images, got 11"
    )
    func json(_ images: String) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(
        server.port, "POST", "/v1/images/edits",
        json: "{\"prompt\": \"a fox\", \"images\": \(images)}")
    }
    refused(try json("[{\"image_url\": \"http://example.com/a.png\"}]"), "fetches no addresses")
    refused(try json("[{\"image_url\": \"data:image/png;base64,!\"}]"), "is not base64")
    refused(try json("[{}]"), "'images[0].image_url' is missing")
    refused(try json("[]"), "'image' is missing")
    await server.stop()
  }

  @Test("A job keeps its references, and makes the image of the edit")
  func jobs() async throws {
    let server = try await Self.server()
    let files = [try Self.image(0), try Self.image(100)]
    let expected = try Self.picture(try Self.form(server.port, files))
    let job = try Self.form(server.port, files, path: "/v1/jobs")
    let id = try #require(job["id"] as? String, "\(job.text)")
    var made = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/images/0")
    let start = ContinuousClock.now
    while made.status != 200, ContinuousClock.now - start < .seconds(60) {
      try await Task.sleep(for: .milliseconds(100))
      made = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/images/0")
    }
    #expect(made.body == expected)
    await server.stop()
  }
}
