internal import FlowCore
internal import FlowImage
internal import Foundation
internal import StreamFlow
internal import Synchronization

/// Input files, read a few at a time.
struct SourceList: ImageWork {
  let files: [String]
  /// The number of images of each file.
  let count: Int
  var sample: GenerationRequest
  let options: SourceOptions
  /// Whether inputs are references of the network.
  let isInstruction: Bool
  let edits: InputEdits
  private let read = ReadFiles()

  /// What was read of the files.
  private final class ReadFiles: Sendable {
    /// The request of the file that was read last.
    let last = Mutex<
      (file: Int, sample: GenerationRequest, made: Result<GenerationRequest, any Error>)?
    >(nil)
    /// The requests without pixels.
    let described = Mutex<[Int: GenerationRequest]>([:])
  }

  var imageCount: Int { files.count * count }
  var prompts: [String] { [sample.prompt] }
  var strength: Double? { isInstruction ? nil : edits.strength }
  /// The number of files that are read at a time: their pixels are held in memory.
  var portion: Int { 32 }

  func requests(_ indices: [Int]) -> [Result<GenerationRequest, any Error>] {
    indices.map { index in
      request(of: index / count).map { request in
        var request = request
        request.seed &+= UInt64(index)
        return request
      }
    }
  }

  func description(of index: Int) -> GenerationRequest {
    let file = index / count
    let known = read.described.withLock { $0[file] }
    var request = known ?? described(file)
    if known == nil { read.described.withLock { $0[file] = request } }
    request.seed = sample.seed &+ UInt64(index)
    return request
  }

  /// The request of a file without pixels: its hashes name them.
  private func described(_ file: Int) -> GenerationRequest {
    let pixel = PixelImage(width: 1, height: 1, pixels: [0, 0, 0])
    guard case .success(var request) = request(of: file) else {
      // No stored image has these settings.
      var request = sample
      request.source = InputImage(image: pixel, strength: edits.strength, fit: options.imageFit)
      request.source?.hash = "unreadable"
      return request
    }
    if isInstruction { request.references[0] = pixel }
    request.source?.image = pixel
    if request.source?.mask != nil {
      request.source?.mask = ImageMask(width: 1, height: 1, coverage: [255])
    }
    return request
  }

  /// The request of a file's first image; its images are asked for one after another.
  private func request(of file: Int) -> Result<GenerationRequest, any Error> {
    if let last = read.last.withLock({ $0 }), last.file == file, last.sample == sample {
      return last.made
    }
    let made = Result { try request(reading: files[file]) }
    read.last.withLock { $0 = (file, sample, made) }
    return made
  }

  private func request(reading path: String) throws -> GenerationRequest {
    var request = sample
    let image = try PixelImage(imageAt: path, background: options.background.color)
    if isInstruction {
      request.references.insert(image, at: 0)
      request.referenceHashes.insert(image.settingsHash, at: 0)
    } else {
      request.source = InputImage(image: image, strength: edits.strength, fit: options.imageFit)
      try edits.apply(to: &request, file: path)
    }
    request.recordInputHashes()
    return request
  }

  func name(of index: Int) -> String {
    URL(filePath: files[index / count]).deletingPathExtension().lastPathComponent
  }

  func source(of index: Int) -> String? { files[index / count] }

  func finished(_ image: GeneratedImage, at index: Int) throws -> PixelImage {
    try edits.finished(image, file: files[index / count], options: options)
  }
}
