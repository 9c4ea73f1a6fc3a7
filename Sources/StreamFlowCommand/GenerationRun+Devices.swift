internal import FlowEngine
internal import Foundation
internal import StreamFlow

extension GenerationRun {
  /// Says what each of several devices made, and which failed.
  func tellDevices() async {
    for (device, error) in await generator.failedDevices {
      Terminal.warning("\(device) failed, and the others made its images: \(error)")
    }
    guard generator.devices.count > 1 else { return }
    let devices = await DeviceReport.all(of: generator, precisions).map {
      "\($0.name) \($0.images)"
    }
    say("images of each device: \(devices.joined(separator: ", "))")
  }

  /// The end of the closing line: the seeds that nobody chose, and the images that were there.
  static func details(seeds: [UInt64], skipped: Int) -> String {
    var text = ""
    if let first = seeds.min(), let last = seeds.max() {
      text += first == last ? ", seed \(first)" : ", seeds \(first) to \(last)"
    }
    if skipped > 0 { text += ", \(skipped) \(skipped == 1 ? "was" : "were") there already" }
    return text
  }
}
