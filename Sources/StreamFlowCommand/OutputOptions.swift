internal import ArgumentParser
internal import Foundation

/// Options of the output and its format.
struct OutputOptions: ParsableArguments {
  /// A supported output format.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case png
    case jpeg

    init?(argument: String) {
      switch argument.lowercased() {
      case "png": self = .png
      case "jpeg", "jpg": self = .jpeg
      default: return nil
      }
    }

    /// The extension of new files.
    var ending: String { self == .png ? "png" : "jpg" }
  }

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      """
      A folder; or for a single image, a file ending in .png, .jpg or .jpeg, or '-' for standard \
      output.
      """, valueName: "path"),
    completion: .file())
  var output = "out"

  @Option(help: "File format: png or jpeg (default: from the name of --output, else png).")
  var format: Format?

  @Option(help: "JPEG quality, 1 to 100.")
  var quality = 92

  @Flag(help: "Replace existing files.")
  var overwrite = false

  @Flag(
    help: """
      Continue an interrupted run: keep images with the same settings and seeds that are in the \
      output folder, and generate missing and damaged ones.
      """)
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Also write all images on one sheet: a file ending in .png, .jpg or .jpeg, or '-'.",
      valueName: "path"),
    completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var contactSheet: String?

  func validate() throws {
    guard (1...100).contains(quality) else {
      throw ValidationError("--quality must be 1 to 100, got \(quality)")
    }
    if resume, overwrite {
      throw ValidationError(
        "--resume keeps existing images and --overwrite replaces them; choose one")
    }
    let target = try OutputTarget(output, option: "--output")
    if resume, target == .standardOutput {
      throw ValidationError("--resume needs a folder or a file, and --output is '-'")
    }
    if case .file(_, _, let named) = target, let format, format != named {
      throw ValidationError("--output '\(output)' is not --format \(format.rawValue)")
    }
    guard let contactSheet else { return }
    switch try OutputTarget(contactSheet, option: "--contact-sheet") {
    case .folder:
      throw ValidationError(
        "--contact-sheet must be a file ending in .png, .jpg or .jpeg, got '\(contactSheet)'")
    case .standardOutput where target == .standardOutput:
      throw ValidationError("--output and --contact-sheet cannot both be '-'")
    case .standardOutput, .file: break
    }
  }

  /// Whether an image goes to standard output, so that nothing else may.
  var usesStandardOutput: Bool { output == "-" || contactSheet == "-" }
}

/// The kind of file that an output option names.
enum OutputTarget: Equatable {
  case standardOutput
  case file(folder: String, name: String, format: OutputOptions.Format)
  case folder(String)

  private static let formats: [String: OutputOptions.Format] = [
    "png": .png, "jpg": .jpeg, "jpeg": .jpeg, "jfif": .jpeg, "jpe": .jpeg,
  ]
  /// Extensions of unsupported formats, with the name of the format.
  private static let others: [String: String] = [
    "webp": "WebP", "gif": "GIF", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP", "avif": "AVIF",
    "heic": "HEIC", "heif": "HEIF", "jxl": "JPEG XL", "jp2": "JPEG 2000", "psd": "Photoshop",
    "svg": "SVG", "pdf": "PDF", "ppm": "PPM", "pnm": "PNM", "exr": "OpenEXR", "hdr": "HDR",
    "tga": "TGA", "ico": "icon", "apng": "APNG", "mp4": "video", "mov": "video", "mkv": "video",
    "webm": "video", "avi": "video", "y4m": "video", "txt": "text", "json": "JSON",
    "zip": "ZIP", "npy": "NumPy",
  ]

  /// Parses a path.
  ///
  /// - Parameters:
  ///   - path: the path; a `/` at its end or an existing folder makes it a folder, whatever its
  ///     name.
  ///   - option: the option, for the error.
  /// - Throws: `ValidationError` for an empty path, and for a file of another format.
  init(_ path: String, option: String) throws {
    guard !path.isEmpty else { throw ValidationError("\(option) must not be empty") }
    guard path != "-" else {
      self = .standardOutput
      return
    }
    let url = URL(filePath: path)
    let ending = url.pathExtension.lowercased()
    if path.hasSuffix("/") || Self.isFolder(path) {
      self = .folder(path)
    } else if let format = Self.formats[ending] {
      self = .file(
        folder: url.deletingLastPathComponent().relativePath, name: url.lastPathComponent,
        format: format)
    } else if let other = Self.others[ending] {
      throw ValidationError(
        "\(option) '\(path)': \(other) files are not supported; name a file ending in .png, .jpg "
          + "or .jpeg (a '/' at the end makes it a folder)")
    } else {
      self = .folder(path)
    }
  }

  static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }
}
