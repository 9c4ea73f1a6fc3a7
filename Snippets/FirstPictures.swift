// Makes three images with the embedded starter model, all in flight together.
import FlowMedia
import Foundation
import StreamFlow

do {
  let generator = try Generator(checkpoint: .starter())
  let requests = ["a fox on a blue background", "grinning face", "a rocket"].map { prompt in
    var request = GenerationRequest(prompt: prompt)
    request.seed = 7
    return request
  }
  for try await picture in try await generator.images(for: requests) {
    try Data(picture.image.png()).write(to: URL(filePath: "\(picture.index).png"))
  }
} catch {
  print("error: \(error)")
  exit(1)
}
