internal import FlowCore
internal import FlowImage
internal import Synchronization

/// The hashes of input images, read once for several images of one input.
final class InputHashes: Sendable {
  private let last = Mutex<(path: String, hash: String)?>(nil)

  /// The hash of a file's image as a reference; that of no image if it cannot be read.
  func hash(of path: String, background: RGBColor) -> String {
    if let last = last.withLock(\.self), last.path == path { return last.hash }
    let image = try? PixelImage(imageAt: path, background: background)
    let hash = image.map(ReferenceOptions.hash) ?? "unreadable"
    last.withLock { $0 = (path, hash) }
    return hash
  }
}
