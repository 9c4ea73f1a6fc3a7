internal import Foundation

/// The images of a folder, recognized by their first bytes, in numeric order.
///
/// Hidden files and folders are ignored.
public struct ImageFolder: Sendable {
  /// The names of the images of the requested kinds, without the folder.
  public let images: [String]
  /// Other files that look like images by content or name, with the reason.
  public let skipped: [(name: String, reason: String)]
  /// The kinds of `images`, each with a count and an example.
  public let kinds: [(kind: String, count: Int, example: String)]

  /// Common file extensions of images.
  private static let suffixes: Set<String> = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "tif", "tiff", "gif", "avif", "heic",
    "heif", "jxl", "jp2", "svg", "psd", "apng",
  ]

  /// Lists a folder.
  ///
  /// - Parameters:
  ///   - path: the folder.
  ///   - kinds: the kinds of image to list: PNG, JPEG, WebP, BMP, TIFF, GIF, AVIF, HEIF, JPEG XL.
  ///   - damaged: the extensions of files that are listed although their content is not recognized,
  ///     so that reading them reports the problem.
  /// - Throws: `fileUnreadable` if the folder cannot be listed.
  public init(
    _ path: String, kinds wanted: Set<String> = ["PNG", "JPEG", "WebP", "BMP", "TIFF"],
    damaged: Set<String> = []
  ) throws(MediaError) {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
      let isThere = FileManager.default.fileExists(atPath: path)
      throw MediaError(
        code: .fileUnreadable,
        message: isThere
          ? "cannot read the folder '\(path)': Permission denied or no folder"
          : "there is no folder '\(path)'")
    }
    var images: [String] = []
    var skipped: [(name: String, reason: String)] = []
    var counts: [String: (count: Int, example: String)] = [:]
    let sorted = names.filter { !$0.hasPrefix(".") }
      .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
    for name in sorted {
      let file = "\(path)/\(name)"
      var isFolder: ObjCBool = false
      guard unsafe FileManager.default.fileExists(atPath: file, isDirectory: &isFolder),
        !isFolder.boolValue
      else { continue }
      let suffix = URL(filePath: file).pathExtension.lowercased()
      let kind = Self.kind(ofFileStarting: Self.beginning(of: file))
      if let kind, wanted.contains(kind) {
        // ffmpeg's file list has one name per line.
        guard !name.contains(where: \.isNewline) else {
          skipped.append((name, "its name has a line break"))
          continue
        }
        images.append(name)
        counts[kind, default: (0, name)].count += 1
      } else if let kind {
        skipped.append((name, kind))
      } else if damaged.contains(suffix) {
        images.append(name)
      } else if Self.suffixes.contains(suffix) {
        skipped.append((name, "not an image"))
      }
    }
    self.images = images
    self.skipped = skipped
    kinds = counts.map { ($0.key, $0.value.count, $0.value.example) }.sorted { $0.0 < $1.0 }
  }

  private static func beginning(of path: String) -> [UInt8] {
    guard let file = FileHandle(forReadingAtPath: path) else { return [] }
    defer { try? file.close() }
    return (try? file.read(upToCount: 16)).map { Array($0) } ?? []
  }

  /// The kind of an image by its first bytes; nil for other files.
  static func kind(ofFileStarting start: [UInt8]) -> String? {
    func has(_ text: String, at offset: Int = 0) -> Bool {
      start.dropFirst(offset).starts(with: text.utf8)
    }
    if start.starts(with: [0x89, 0x50, 0x4e, 0x47]) { return "PNG" }
    if start.starts(with: [0xff, 0xd8, 0xff]) { return "JPEG" }
    if has("RIFF"), has("WEBP", at: 8) { return "WebP" }
    if has("GIF8") { return "GIF" }
    if has("II*\0") || has("MM\0*") { return "TIFF" }
    if has("BM") { return "BMP" }
    if has("ftypavi", at: 4) { return "AVIF" }
    if has("ftyphei", at: 4) || has("ftypmif1", at: 4) { return "HEIF" }
    if has("JXL ", at: 4) || start.starts(with: [0xff, 0x0a]) { return "JPEG XL" }
    if has("8BPS") { return "Photoshop" }
    return nil
  }
}
