internal import ArgumentParser
internal import FlowCore
internal import FlowMedia
internal import Foundation
internal import StreamFlow

/// Where pictures go, and as what.
struct OutputOptions: ParsableArguments {
  enum Format: String, ExpressibleByArgument, CaseIterable { case png, jpeg }

  @Option(
    name: [.short, .long], help: "A folder, or a file ending in .png or .jpg for one picture.")
  var output = "out"

  @Option(help: "The file format, png or jpeg; both carry the settings.")
  var format: Format?

  @Option(help: "The quality of JPEG, 1 to 100.")
  var quality = 92

  @Flag(help: "Replace files that are there.")
  var overwrite = false

  @Option(help: "Lay all pictures out on one more picture, a PNG file.")
  var contactSheet: String?

  func validate() throws {
    guard (1...100).contains(quality) else {
      throw ValidationError("--quality must be 1 to 100, got \(quality)")
    }
    if let contactSheet, !contactSheet.lowercased().hasSuffix(".png") {
      throw ValidationError("--contact-sheet is a file ending in .png, got '\(contactSheet)'")
    }
  }
}

/// Writes pictures where the options say.
struct PictureOutput {
  private let options: OutputOptions
  private let format: OutputOptions.Format
  /// The folder that pictures go to.
  let folder: String
  /// The name of the only picture, where the user gave one.
  private let fileName: String?
  /// The number of the next picture, once one was written.
  private var nextNumber: Int?

  private static let endings: [String: OutputOptions.Format] = [
    "png": .png, "jpg": .jpeg, "jpeg": .jpeg,
  ]

  /// Checks the place and makes the folder, before any work is done for it.
  ///
  /// - Parameters:
  ///   - options: the place.
  ///   - pictureCount: the number of images.
  ///   - inputs: the files that are read, none of which may be replaced.
  ///   - names: what each output is named after, where there are inputs.
  init(
    _ options: OutputOptions, pictureCount: Int, inputs: [String] = [], names: [String] = []
  ) throws {
    self.options = options
    let url = URL(filePath: options.output)
    let named = Self.endings[url.pathExtension.lowercased()]
    if let named {
      guard pictureCount == 1 else {
        throw ValidationError(
          "--output '\(options.output)' names one file for \(pictureCount) pictures; name a folder")
      }
      guard options.format == nil || options.format == named else {
        throw ValidationError("--output '\(options.output)' is not --format \(named.rawValue)")
      }
    }
    format = named ?? options.format ?? .png
    fileName = named == nil ? nil : url.lastPathComponent
    folder = named == nil ? options.output : url.deletingLastPathComponent().relativePath
    try check(inputs: inputs, names: names)
    for place in [folder] + (options.contactSheet.map { [Self.folder(of: $0)] } ?? []) {
      try Self.makeFolder(place)
    }
    try checkPlaces()
  }

  /// Refuses to do work whose results would have no place.
  private func checkPlaces() throws {
    let single = fileName.map { "\(folder)/\($0)" }
    for path in [single, options.contactSheet].compactMap({ $0 })
    where !options.overwrite && FileManager.default.fileExists(atPath: path) {
      throw MediaError.present(path)
    }
  }

  private static func folder(of path: String) -> String {
    URL(filePath: path).deletingLastPathComponent().relativePath
  }

  private static func makeFolder(_ folder: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw MediaError.unwritable("cannot make the folder '\(folder)'")
    }
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw MediaError.unwritable("cannot write in the folder '\(folder)'")
    }
  }

  /// Refuses a run that would replace one of its inputs.
  ///
  /// - Parameters:
  ///   - inputs: the paths of the inputs.
  ///   - names: what each output is named after, in order.
  private func check(inputs: [String], names: [String]) throws(MediaError) {
    var paths = [options.contactSheet].compactMap { $0 }
    if let fileName {
      paths.append("\(folder)/\(fileName)")
    } else if options.overwrite {
      paths += names.enumerated().map { path(number: $0.offset + 1, name: $0.element) }
    }
    let taken = paths.filter { FileManager.default.fileExists(atPath: $0) }
    for path in taken {
      guard let input = inputs.first(where: { FileIdentity.isSame($0, path) }) else { continue }
      throw MediaError(
        code: .outputIsInput,
        message: "the output '\(path)' would replace the input '\(input)'; choose another --output")
    }
  }

  private func path(number: Int, name: String) -> String {
    let ending = format == .png ? "png" : "jpg"
    return "\(folder)/\(Self.padded(number))-\(Self.slug(name)).\(ending)"
  }

  /// Writes a picture and gives its path.
  ///
  /// - Parameters:
  ///   - picture: the picture.
  ///   - index: its number among all of them, from 0.
  ///   - name: what its file is named after.
  ///   - parameters: the settings that it was made with.
  mutating func write(
    _ picture: GeneratedImage, index: Int, name: String, parameters: String
  ) throws -> String {
    let bytes =
      switch format {
      case .png: try picture.image.png(texts: [("parameters", parameters)])
      case .jpeg: try picture.image.jpeg(quality: options.quality, parameters: parameters)
      }
    if let fileName {
      let path = "\(folder)/\(fileName)"
      guard try AtomicFile.write(bytes, to: path, overwriting: options.overwrite) else {
        throw MediaError.present(path)
      }
      return path
    }
    var number = options.overwrite ? index + 1 : nextNumber ?? firstFreeNumber()
    while true {
      let path = path(number: number, name: name)
      number += 1
      if try AtomicFile.write(bytes, to: path, overwriting: options.overwrite) {
        nextNumber = number
        return path
      }
    }
  }

  /// Writes the contact sheet, if one was asked for, and gives its path.
  func writeSheet(of pictures: [PixelImage]) throws -> String? {
    guard let path = options.contactSheet, let first = pictures.first else { return nil }
    let columns = Int((Double(pictures.count) * 1.5).squareRoot().rounded())
    let scale = max(1, 256 / max(first.width, first.height))
    let sheet = ContactSheet(columns: max(columns, 1), scale: scale).sheet(of: pictures)
    guard try AtomicFile.write(sheet.png(), to: path, overwriting: options.overwrite) else {
      throw MediaError.present(path)
    }
    return path
  }

  /// Whether a contact sheet is asked for, and pictures must be kept for it.
  var wantsSheet: Bool { options.contactSheet != nil }

  /// One more than the highest number in the folder.
  private func firstFreeNumber() -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    // Only numbers that this command writes: a date in a name is none.
    let numbers = names.compactMap { name in
      name.split(separator: "-").first.flatMap { $0.count <= 7 ? Int($0) : nil }
    }
    return (numbers.max() ?? 0) + 1
  }

  private static func padded(_ number: Int) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(4 - digits.count, 0)) + digits
  }

  private static func slug(_ prompt: String) -> String {
    let words = prompt.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
    let slug = words.joined(separator: "-").prefix(48)
    return slug.isEmpty ? "picture" : String(slug)
  }
}

extension MediaError {
  fileprivate static func present(_ path: String) -> MediaError {
    unwritable("'\(path)' is there already; --overwrite replaces it")
  }

  fileprivate static func unwritable(_ message: String) -> MediaError {
    MediaError(code: .fileUnwritable, message: message)
  }
}
