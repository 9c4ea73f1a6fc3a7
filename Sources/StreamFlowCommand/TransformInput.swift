internal import FlowImage
internal import Foundation

/// A file or folder that `streamflow edit` reads.
struct TransformInput {
  /// The images to transform.
  let files: [String]
  private let folder: ImageFolder?

  /// Lists a path: a file itself; for a folder its PNG and JPEG images, whatever their names, and
  /// damaged files with their extensions.
  init(_ path: String) throws {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw MediaError(code: .fileUnreadable, message: "there is no file or folder '\(path)'")
    }
    guard isFolder.boolValue else {
      (files, folder) = ([path], nil)
      return
    }
    let folder = try ImageFolder(path, kinds: ["PNG", "JPEG"], damaged: ["png", "jpg", "jpeg"])
    guard !folder.images.isEmpty else {
      let skipped = folder.skipped.isEmpty ? "" : "; \(folder.skippedWords)"
      throw MediaError(
        code: .fileUnreadable, message: "the folder '\(path)' holds no PNG or JPEG image\(skipped)")
    }
    files = folder.images.map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
    self.folder = folder
  }

  /// Lists the images of the folder that are in other formats.
  func noteSkipped() {
    if let folder, !folder.skipped.isEmpty { Terminal.note(folder.skippedWords) }
  }
}
