internal import FlowCore
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// One way to make images, to be timed against others.
struct BenchmarkCase: Codable, Equatable {
  /// Its number in the report.
  var number: String
  /// What it is, in a few words.
  var label: String
  /// The autoencoder: `auto`, `full`, `tiny`, or a path.
  var vae = "auto"
  /// `f32` or `int8`.
  var precision = "f32"
  /// The rows of a tick: images in flight, times two where guidance takes two rows.
  var stages = 1
  /// The rows of the network's engine, if not those of a tick.
  var engineRows: Int?
  /// The images of a run of the decoder, if not the rows of a tick.
  var decodeRows: Int?
  var steps = 4
  /// `none`, `full`, `onetime-negative`.
  var guidance = "none"
  var guidanceScale: Float = 1
  /// Denoising strength, where an image goes in.
  var strength: Double?
  var width: Int
  var height: Int
  /// Who makes them, if not this program: the words that start it.
  var peer: [String]?

  /// One image's request.
  func request(of checkpoint: Checkpoint, schedule: ScheduleChoice, seed: UInt64)
    -> GenerationRequest
  {
    var request = checkpoint.request("a castle on a hill", schedule: schedule)
    request.seed = seed
    request.stepCount = steps
    request.spacing = .uniform
    request.guidance =
      Guidance.Kind(rawValue: guidance)?.guidance(scale: guidanceScale, delta: 1) ?? .none
    if let strength {
      request.source = InputImage(
        image: Self.source(width: width, height: height), strength: strength)
    }
    return request
  }

  /// An image to start from: two gradients.
  private static func source(width: Int, height: Int) -> PixelImage {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        pixels += [
          UInt8(255 * x / width), UInt8(255 * y / height), UInt8((x / 8 + y / 8) % 2 * 90),
        ]
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }
}

/// What a run of a case cost.
struct BenchmarkSample: Codable, Equatable {
  var pictures: Int
  var seconds: Double
  /// Processor seconds of all threads.
  var cpuSeconds: Double
  /// Energy of the processor's package, where the system tells it.
  var joules: Double?
  /// The most memory the process ever had resident.
  var peakBytes: Int

  var rate: Double { Double(pictures) / seconds }
}
