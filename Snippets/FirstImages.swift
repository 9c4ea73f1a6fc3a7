// Generates an image with the embedded starter model, then three more that share a batch.
import FlowImage
import Foundation
import StreamFlow

do {
  let model = try await ImageModel.load("starter")
  let image = try await model.image("a fox on a blue background", seed: 7)
  try Data(image.png()).write(to: URL(filePath: "fox.png"))

  let prompts = ["a dog", "grinning face", "a rocket"]
  for try await update in model.images(prompts.map { model.request($0, seed: 7) }) {
    guard case .finished(let image) = update else { continue }
    try Data(image.image.png()).write(to: URL(filePath: "\(prompts[image.index]).png"))
  }
} catch {
  print("error: \(error)")
  exit(1)
}
