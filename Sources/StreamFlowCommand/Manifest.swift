internal import FlowDigest
internal import FlowImage
internal import Foundation
internal import StreamFlow

/// The images of one process's share, one line of JSON each.
///
/// A line is written after the image's file, so that the manifest of a killed process names
/// complete files only. Missing lines are added when the process runs again.
struct Manifest {
  /// One image.
  struct Line: Codable, Equatable {
    /// Its index among all images, from 0.
    let index: Int
    /// The number of images of all processes.
    let of: Int
    /// The name of its file, in the folder of the manifest.
    let file: String
    let prompt: String
    let seed: UInt64
    /// The SHA-256 hash of the file.
    let sha256: String
    /// The hashes of the images that the network read as references; nil without any.
    var references: [String]?
  }

  let path: String
  private let folder: OutputFolder
  private let imageCount: Int
  private let handle: FileHandle

  /// The file name of a share's manifest.
  static func name(of share: WorkShare) -> String {
    "manifest-\(share.rank)-of-\(share.world).jsonl"
  }

  /// Creates a manifest that replaces the one of an interrupted run.
  ///
  /// - Parameters:
  ///   - share: the images of this process.
  ///   - imageCount: the number of images of all processes.
  ///   - folder: the folder of the images, and of the manifest.
  ///   - finished: the existing images: their indices, files and requests.
  init(
    of share: WorkShare, imageCount: Int, in folder: OutputFolder,
    finished: [(index: Int, path: String, request: GenerationRequest)]
  ) throws {
    (self.folder, self.imageCount) = (folder, imageCount)
    path = folder.file(Self.name(of: share))
    var bytes: [UInt8] = []
    for image in finished.sorted(by: { $0.index < $1.index }) {
      bytes += try Self.bytes(
        Self.line(image.index, of: imageCount, path: image.path, request: image.request))
    }
    guard try AtomicFile.write(bytes, to: path, overwriting: true),
      let handle = FileHandle(forWritingAtPath: path)
    else { throw Self.unwritable(path) }
    try handle.seekToEnd()
    self.handle = handle
  }

  /// Adds an image whose file is written.
  func append(_ index: Int, path: String, request: GenerationRequest) throws {
    let line = try Self.line(index, of: imageCount, path: path, request: request)
    do { try handle.write(contentsOf: Data(try Self.bytes(line))) } catch {
      throw Self.unwritable(self.path)
    }
  }

  private static func line(
    _ index: Int, of count: Int, path: String, request: GenerationRequest
  ) throws -> Line {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw MediaError(code: .fileUnreadable, message: "cannot read '\(path)' for the manifest")
    }
    let hash = try MessageDigest.sha256(of: data).digits
    return Line(
      index: index, of: count, file: URL(filePath: path).lastPathComponent, prompt: request.prompt,
      seed: request.seed, sha256: hash,
      references: request.referenceHashes.isEmpty ? nil : request.referenceHashes)
  }

  /// A line as bytes.
  static func bytes(_ line: Line) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(line)) + [UInt8(ascii: "\n")]
  }

  private static func unwritable(_ path: String) -> MediaError {
    MediaError(code: .fileUnwritable, message: "cannot write '\(path)'; choose another --output")
  }
}
