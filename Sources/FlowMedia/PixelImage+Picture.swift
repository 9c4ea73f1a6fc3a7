public import FlowCore
internal import Foundation

extension PixelImage {
  /// The most pixels that are decoded unless told otherwise: 100 million, 300 MB.
  public static let maximumPixelCount = 100_000_000

  /// Decodes a PNG or JPEG file, whichever its first bytes say, as a viewer shows it.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - background: the color under transparent places.
  ///   - maximumPixelCount: larger pictures are refused before anything is decoded.
  public init(
    picture bytes: [UInt8], background: RGBColor = .white,
    maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    switch try PictureFormat(ofFileStarting: bytes) {
    case .png:
      try self.init(png: bytes, background: background, maximumPixelCount: maximumPixelCount)
    case .jpeg: try self.init(jpeg: bytes, maximumPixelCount: maximumPixelCount)
    }
  }

  /// Reads a PNG or JPEG file, as a viewer shows it.
  ///
  /// - Parameters:
  ///   - path: the file's place.
  ///   - background: the color under transparent places.
  ///   - maximumPixelCount: larger pictures are refused before anything is decoded.
  public init(
    pictureAt path: String, background: RGBColor = .white,
    maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    let bytes = try Self.pictureFile(at: path)
    do {
      try self.init(picture: bytes, background: background, maximumPixelCount: maximumPixelCount)
    } catch {
      throw MediaError(code: error.code, message: "cannot read '\(path)': \(error.message)")
    }
  }

  /// Twice the bytes of the largest picture that is decoded by default, stored with 16 bits.
  private static let maximumFileSize = 1 << 30

  /// Reads a file whole, unless its first bytes say already that it is no picture.
  private static func pictureFile(at path: String) throws(MediaError) -> [UInt8] {
    func unreadable(_ reason: String) -> MediaError {
      MediaError(code: .fileUnreadable, message: "cannot read '\(path)': \(reason)")
    }
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(SystemFailure.words) }
    defer { close(descriptor) }
    var (bytes, part) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 20))
    while true {
      let count = unsafe read(
        descriptor, &part, bytes.isEmpty ? PictureFormat.startCount : part.count)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw unreadable(errno == EISDIR ? "it is a folder" : SystemFailure.words)
      }
      if bytes.isEmpty {
        do { _ = try PictureFormat(ofFileStarting: part.prefix(count)) } catch {
          throw MediaError(code: error.code, message: "cannot read '\(path)': \(error.message)")
        }
      }
      guard count > 0 else { return bytes }
      bytes.append(contentsOf: part.prefix(count))
      guard bytes.count <= maximumFileSize else {
        throw MediaError(
          code: .pictureTooLarge,
          message: "cannot read '\(path)': it is larger than \(maximumFileSize) bytes")
      }
    }
  }
}

/// The last failure of a system call.
enum SystemFailure {
  /// The failure in the system's words.
  static var words: String { unsafe String(cString: strerror(errno)) }
}
