// Transforms a sequence of images, and changes the prompt halfway.
import FlowCore
import FlowImage
import Foundation
import StreamFlow

var settings = LiveSettings(prompt: "a fox on a blue background")
settings.strength = 0.6
let stream = try LiveStream(checkpoint: .starter(), settings: settings)
try await stream.prepare()

let paths = Array(CommandLine.arguments.dropFirst())
let feeding = Task {
  for (index, path) in paths.enumerated() {
    // Cameras use offer(_:timestamp:), which replaces a waiting frame; submit waits for room.
    try await stream.submit(PixelImage(imageAt: path), timestamp: .milliseconds(40 * index))
    if index == paths.count / 2 { try await stream.update { $0.request.prompt = "a rocket" } }
  }
  await stream.finish()
}
for try await frame in stream.frames {
  guard case .made(let image) = frame.outcome else { continue }
  try Data(image.png()).write(to: URL(filePath: "\(frame.index).png"))
}
try await feeding.value
