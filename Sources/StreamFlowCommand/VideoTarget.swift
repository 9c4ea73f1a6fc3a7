internal import FlowCore
internal import FlowImage
internal import FlowVideo
internal import Foundation

/// The output of `streamflow video` and its format.
struct VideoTarget: Sendable {
  let path: String
  let encoder: String?
  let isMute: Bool
  let isSideBySide: Bool
  let scale: OutputScale?
  let overwrites: Bool

  /// Refuses a run whose output could not be written, or would replace its input.
  func check(against source: VideoSource) throws {
    // The name determines the container.
    _ = try VideoWriter(to: path, size: PixelSize(width: 64, height: 64), rate: FrameRate(25))
    try source.check(output: path)
    guard path != "-" else { return }
    if !overwrites, FileManager.default.fileExists(atPath: path) {
      throw MediaError(
        code: .fileUnwritable, message: "'\(path)' exists already; --overwrite replaces it")
    }
    _ = try missingFolders()
  }

  /// The size that the output is scaled to; nil for the size of the images.
  func size(of image: PixelSize, input: PixelSize) throws -> PixelSize? {
    guard var size = scale?.size(of: image, input: input) else { return nil }
    if isSideBySide { size.width *= 2 }
    guard size.width <= 32768, size.height <= 32768 else {
      throw MediaError(
        code: .encodingFailed,
        message:
          "--scale-output gives images of \(size); at most 32768 pixels a side are supported")
    }
    return size
  }

  /// The tracks of a source to copy.
  func tracks(of source: VideoSource, _ selection: FrameSelection) -> VideoTracks? {
    guard case .file(let path) = source else { return nil }
    var tracks = VideoTracks(
      from: path, start: selection.start, duration: selection.duration)
    if isMute { tracks.kinds.remove(.audio) }
    return tracks
  }

  /// Creates the folder of the output.
  ///
  /// - Returns: the folders that were created, the outermost first.
  func createFolder() throws -> [String] {
    guard path != "-" else { return [] }
    let folders = try missingFolders()
    for folder in folders {
      do {
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw Self.uncreatable(folder, words: unsafe String(cString: strerror(errno)))
      }
    }
    return folders
  }

  /// Deletes folders that were created and are empty.
  static func removeEmpty(_ folders: [String]) {
    for folder in folders.reversed() { unsafe rmdir(folder) }
  }

  /// The folders that must be created, the outermost first.
  private func missingFolders() throws -> [String] {
    var folders: [String] = []
    var url = URL(filePath: path).deletingLastPathComponent().standardizedFileURL
    while true {
      var isFolder: ObjCBool = false
      if unsafe FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) {
        guard isFolder.boolValue else {
          throw Self.uncreatable(folders.last ?? url.path, words: "'\(url.path)' is a file")
        }
        if !folders.isEmpty, !FileManager.default.isWritableFile(atPath: url.path) {
          throw Self.uncreatable(folders.last ?? url.path, words: "permission denied")
        }
        return folders.reversed()
      }
      folders.append(url.path)
      let parent = url.deletingLastPathComponent()
      guard parent.path != url.path else { return folders.reversed() }
      url = parent
    }
  }

  private static func uncreatable(_ folder: String, words: String) -> MediaError {
    MediaError(
      code: .fileUnwritable,
      message: "cannot create the folder '\(folder)': \(words.lowercasedFirst); "
        + "choose another with --output")
  }
}

extension String {
  /// The text with a lowercase first letter, as a reason within a sentence.
  fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
