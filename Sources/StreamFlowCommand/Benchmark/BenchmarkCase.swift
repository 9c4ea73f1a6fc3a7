internal import FlowCore
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// A configuration that is timed against others.
struct BenchmarkCase: Codable, Equatable {
  /// Its number in the report.
  var number: String
  /// A short description.
  var label: String
  /// The autoencoder: `auto`, `full`, `tiny`, or a path.
  var vae = "auto"
  /// A precision, as `generate` takes it.
  var precision = "f32"
  /// The number of batch rows of a tick: the images in flight, times two if guidance takes two
  /// rows.
  var stages = 1
  /// The number of rows of the network's engine, if it differs from a tick's.
  var engineRows: Int?
  /// The number of images of a decoder run, if it differs from the rows of a tick.
  var decodeRows: Int?
  var steps = 4
  /// `none`, `full`, `onetime-negative`.
  var guidance = "none"
  var guidanceScale: Float = 1
  /// Denoising strength, for image-to-image.
  var strength: Double?
  var width: Int
  var height: Int
  /// The command that starts the peer which generates the images, if it is not this program.
  var peer: [String]?

  /// The request of one image.
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

  /// An input image: two gradients.
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

/// The cost of a run of a case.
struct BenchmarkSample: Codable, Equatable {
  var pictures: Int
  var seconds: Double
  /// Processor seconds of all threads.
  var cpuSeconds: Double
  /// The energy of the processor package, if the system states it.
  var joules: Double?
  /// The peak resident memory of the process.
  var peakBytes: Int
  /// The seconds per batch row of a tick, if this program generated the images.
  var rowSeconds: Double?

  var rate: Double { Double(pictures) / seconds }
}
