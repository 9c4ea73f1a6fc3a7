internal import FlowImage
internal import Foundation

/// The folder of a run's images, and the names of files in it.
struct OutputFolder {
  let path: String

  /// Creates the folder with its parents, and checks that files can be created in it.
  ///
  /// - Parameters:
  ///   - path: the folder.
  ///   - option: the option that named it, for the error.
  init(creating path: String, option: String) throws(MediaError) {
    self.path = path
    func failure(_ words: String) -> MediaError {
      MediaError(code: .fileUnwritable, message: "\(words); choose another with \(option)")
    }
    var isFolder: ObjCBool = false
    if unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
      guard isFolder.boolValue else { throw failure("'\(path)' is a file, not a folder") }
    } else if let reason = Self.create(path) {
      throw failure("cannot create the folder '\(path)': \(reason)")
    }
    guard unsafe access(path, W_OK) == 0 else {
      throw failure("cannot write to the folder '\(path)': \(Self.reason(errno))")
    }
  }

  /// Creates a folder with its parents; returns the reason of a failure.
  private static func create(_ path: String) -> String? {
    var parts = ""
    for part in path.split(separator: "/") {
      if !parts.isEmpty || path.hasPrefix("/") { parts += "/" }
      parts += part
      guard unsafe mkdir(parts, 0o777) != 0 else { continue }
      let code = errno
      var isFolder: ObjCBool = false
      guard unsafe FileManager.default.fileExists(atPath: parts, isDirectory: &isFolder) else {
        return reason(code)
      }
      guard isFolder.boolValue else { return reason(ENOTDIR) }
    }
    return nil
  }

  private static func reason(_ code: Int32) -> String {
    unsafe String(cString: strerror(code)).lowercased()
  }

  /// The path of an image.
  func file(number: Int, slug: String, format: OutputOptions.Format) -> String {
    file(Self.name(number: number, slug: slug, format: format))
  }

  /// The path of a file.
  func file(_ name: String) -> String { Self.join(path, name) }

  /// The name of an image.
  static func name(number: Int, slug: String, format: OutputOptions.Format) -> String {
    let digits = "\(number)"
    let padded = String(repeating: "0", count: max(4 - digits.count, 0)) + digits
    return "\(padded)-\(slug).\(format.ending)"
  }

  /// The path of a file in a folder; for the current folder, the file's name.
  static func join(_ folder: String, _ name: String) -> String {
    switch folder {
    case ".", "./": name
    default: folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
    }
  }

  /// An image of a run, by its name.
  struct Entry {
    let path: String
    let number: Int
    let slug: String
    let format: OutputOptions.Format
  }

  /// The images whose names a run could have given, ordered by number.
  func entries() -> [Entry] {
    names().compactMap { name in
      guard let number = Self.number(of: name), let dash = name.firstIndex(of: "-"),
        let dot = name.lastIndex(of: "."), dash < dot,
        let format = OutputOptions.Format.allCases.first(where: {
          $0.ending == name[name.index(after: dot)...]
        })
      else { return nil }
      return Entry(
        path: file(name), number: number, slug: String(name[name.index(after: dash)..<dot]),
        format: format)
    }.sorted { $0.number < $1.number }
  }

  /// One more than the highest number in use.
  func firstFreeNumber() -> Int { (names().compactMap(Self.number).max() ?? 0) + 1 }

  private func names() -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
  }

  /// The number at the start of a generated name; a date is not a number.
  private static func number(of name: String) -> Int? {
    name.split(separator: "-").first.flatMap { $0.count <= 7 ? Int($0) : nil }
  }

  /// A prompt as part of a file name.
  static func slug(_ prompt: String) -> String {
    let words = prompt.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
    let slug = words.joined(separator: "-").prefix(48)
    return slug.isEmpty ? "image" : String(slug)
  }
}
