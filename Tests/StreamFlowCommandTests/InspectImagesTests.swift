import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `streamflow inspect` of images and folders of images.
@Suite(.tags(.process)) struct InspectImagesTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  @Test("A JPEG image shows the same settings as a PNG image, and a folder those of each")
  func settings() throws {
    for format in ["png", "jpeg"] {
      let outcome = try runner.run([
        "generate", "a fox, лиса", "--seed", "7", "--format", format, "--output", format,
      ])
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    let png = try runner.run(["inspect", "png/0001-a-fox.png"])
    let jpeg = try runner.run(["inspect", "jpeg/0001-a-fox.jpg"])
    #expect(png.output.hasPrefix("a fox, лиса\nSteps: 1, ") && jpeg.output == png.output)
    let json = try runner.run(["inspect", "jpeg/0001-a-fox.jpg", "--json"])
    let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
    #expect((object?["parameters"] as? String).map { $0 + "\n" } == png.output)
    let folder = try runner.run(["inspect", "jpeg"])
    #expect(folder.status == 0)
    #expect(folder.output.hasPrefix("jpeg/0001-a-fox.jpg\n  a fox, лиса\n  Steps: 1, "))
  }

  @Test("An image of a folder that cannot be read is an error of its own, after which others come")
  func damaged() throws {
    _ = try runner.folder.write([0x89, 0x50], as: "a.png")
    let image = PixelImage(width: 1, height: 1, pixels: [1, 2, 3])
    _ = try runner.folder.write(image.jpeg(quality: 90), as: "b.jpg")
    let outcome = try runner.run(["inspect", "."])
    #expect(outcome.status == 65)
    #expect(outcome.output == "./b.jpg\n  no settings\n")
    #expect(outcome.error.hasPrefix("error: cannot read './a.png': this is a file of"))
    let plain = try runner.run(["inspect", "b.jpg"])
    #expect(plain.status == 0 && plain.output == "b.jpg contains no text\n")
  }
}
