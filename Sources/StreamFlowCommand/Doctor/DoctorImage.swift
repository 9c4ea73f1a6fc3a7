internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// The checks of the starter: its resources, and an image of it with the defaults.
struct DoctorImage {
  func checks() async -> [DoctorCheck] {
    let checkpoint: Checkpoint
    do { checkpoint = try Checkpoint.starter() } catch {
      return [
        .problem(
          "starter", .failed, Remedy.words(error), remedy: "run `make install` in a checkout")
      ]
    }
    return [.ok("starter", checkpoint.folder), await image(of: checkpoint)]
  }

  private func image(of checkpoint: Checkpoint) async -> DoctorCheck {
    let start = ContinuousClock.now
    do {
      let precision = try PrecisionChoice.named()
      let engines = EngineStore(
        options: EngineOptions(precision: try precision.finding(for: .cpu).precision),
        cache: try CacheCommand.cache())
      let model = ImageModel(
        try precision.applied(to: checkpoint, scales: nil), engines: engines)
      let image = try await model.image("a fox on a blue background", seed: 7)
      let seconds = (ContinuousClock.now - start).seconds
      // A broken engine tends to return one color.
      guard Set(image.pixels).count > 8 else {
        return .problem(
          "image", .failed, "the starter's image has \(Set(image.pixels).count) values",
          remedy: "clear the engine cache with `streamflow cache clear`, or set "
            + "STREAMFLOW_PRECISION to f32")
      }
      return .ok(
        "image",
        "\(image.width)x\(image.height) pixels in \(String(format: "%.2f", seconds)) s with its "
          + "engines")
    } catch {
      return .problem(
        "image", .failed, Remedy.words(error), remedy: "fix the failed checks above")
    }
  }
}
