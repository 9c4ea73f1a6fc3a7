internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import Foundation
internal import StreamFlow

/// Writes images to the output of the options.
struct ImageOutput {
  private let options: OutputOptions
  private let target: OutputTarget
  private let sheetTarget: OutputTarget?
  let format: OutputOptions.Format
  /// The folder of the images; nil for standard output.
  let folder: OutputFolder?
  /// The folder of the contact sheet, if it goes to a file.
  private let sheetFolder: OutputFolder?
  /// The file number before the first image of this run, once it is known.
  private var base: Int?
  /// Damaged images that are replaced.
  private var replaceable: Set<String> = []

  /// Checks the targets and creates the folders, before any work is done.
  ///
  /// - Parameters:
  ///   - options: the options.
  ///   - imageCount: the number of images of the run.
  ///   - isJSON: whether a report goes to standard output.
  ///   - inputs: the input files, none of which may be replaced.
  ///   - names: the base name of each output, for runs with inputs.
  init(
    _ options: OutputOptions, imageCount: Int, isJSON: Bool, inputs: [String] = [],
    names: [String] = []
  ) throws {
    self.options = options
    target = try OutputTarget(options.output, option: "--output")
    sheetTarget = try options.contactSheet.map { try OutputTarget($0, option: "--contact-sheet") }
    switch target {
    case .standardOutput, .file:
      guard imageCount == 1 else {
        let place =
          target == .standardOutput ? "'-' is standard output" : "'\(options.output)' is one file"
        throw ValidationError(
          "--output \(place), and there are \(imageCount) images; name a folder")
      }
    case .folder: break
    }
    if options.usesStandardOutput {
      guard !isJSON else {
        throw ValidationError("--json and an image cannot both go to standard output")
      }
      guard isatty(STDOUT_FILENO) == 0 else {
        throw ValidationError(
          "refusing to write binary data to the terminal; redirect it, as in: --output - > fox.png")
      }
    }
    try Self.check(
      inputs: inputs, names: names, against: [target, sheetTarget].compactMap { $0 }, options)
    switch target {
    case .standardOutput: (folder, format) = (nil, options.format ?? .png)
    case .folder(let path):
      folder = try OutputFolder(creating: path, option: "--output")
      format = options.format ?? .png
    case .file(let path, let name, let named):
      let place = try OutputFolder(creating: path, option: "--output")
      (folder, format) = (place, named)
      if !options.resume { try Self.check(place.file(name), options) }
    }
    guard case .file(let path, let name, _) = sheetTarget else {
      sheetFolder = nil
      return
    }
    let place = try OutputFolder(creating: path, option: "--contact-sheet")
    sheetFolder = place
    // A resumed run replaces the contact sheet of the interrupted one.
    if !options.resume { try Self.check(place.file(name), options) }
  }

  /// The folder or file, for messages.
  var place: String { folder?.path ?? "standard output" }

  /// The single file, where the user named one.
  var file: String? {
    if case .file(_, let name, _) = target { folder?.file(name) } else { nil }
  }

  /// Whether images must be held for a contact sheet.
  var wantsSheet: Bool { sheetTarget != nil }

  /// Refuses a run that would replace one of its inputs.
  ///
  /// - Parameters:
  ///   - inputs: the paths of the inputs.
  ///   - names: the base name of each output, in order.
  ///   - targets: where the images and the contact sheet go.
  ///   - options: the options.
  private static func check(
    inputs: [String], names: [String], against targets: [OutputTarget], _ options: OutputOptions
  ) throws(MediaError) {
    var paths: [String] = []
    for target in targets {
      switch target {
      case .standardOutput: break
      case .file(let folder, let name, _): paths.append(OutputFolder.join(folder, name))
      case .folder(let folder) where options.overwrite:
        let format = options.format ?? .png
        paths += names.enumerated().map { index, name in
          let slug = OutputFolder.slug(name)
          return OutputFolder.join(
            folder, OutputFolder.name(number: index + 1, slug: slug, format: format))
        }
      case .folder: break
      }
    }
    for path in paths where FileManager.default.fileExists(atPath: path) {
      guard let input = inputs.first(where: { FileIdentity.isSame($0, path) }) else { continue }
      throw MediaError(
        code: .outputIsInput,
        message: "the output '\(path)' would replace the input '\(input)'; choose another --output")
    }
  }

  /// Refuses to start work whose result could not be written.
  private static func check(_ path: String, _ options: OutputOptions) throws(MediaError) {
    guard !options.overwrite, FileManager.default.fileExists(atPath: path) else { return }
    throw present(path)
  }

  private static func present(_ path: String) -> MediaError {
    MediaError(
      code: .fileUnwritable, message: "'\(path)' exists already; --overwrite replaces it")
  }

  /// Continues an interrupted run.
  ///
  /// - Throws: `fileUnwritable` if the single file is a complete image with other settings.
  mutating func resume(_ run: ResumedRun) throws(MediaError) {
    base = run.base
    replaceable = run.damaged
    if let file, run.finished.isEmpty, !replaceable.contains(file) {
      try Self.check(file, options)
    }
  }

  /// Refuses to start if the file of an image, numbered by its index, is another image.
  func checkRoom(for index: Int, name: String) throws(MediaError) {
    guard let folder else { return }
    let path = folder.file(number: index + 1, slug: OutputFolder.slug(name), format: format)
    guard !isReplaceable(path), FileManager.default.fileExists(atPath: path) else { return }
    throw MediaError(
      code: .fileUnwritable,
      message: "'\(path)' is an image with other settings, and has the name of this run's image "
        + "\(index + 1); choose another --output, or --overwrite replaces it")
  }

  /// Writes an image.
  ///
  /// - Parameters:
  ///   - image: the image.
  ///   - index: its index in the run, from 0.
  ///   - name: the base name of its file.
  ///   - parameters: the settings that it was generated with.
  /// - Returns: the path, or `-`.
  mutating func write(
    _ image: PixelImage, index: Int, name: String, parameters: String
  ) throws -> String {
    let bytes = try encoded(image, as: format, parameters: parameters)
    guard let folder else {
      try Self.writeToStandardOutput(bytes)
      return "-"
    }
    if let file {
      guard try AtomicFile.write(bytes, to: file, overwriting: isReplaceable(file)) else {
        throw Self.present(file)
      }
      return file
    }
    var base = self.base ?? (options.overwrite ? 0 : folder.firstFreeNumber() - 1)
    let slug = OutputFolder.slug(name)
    while true {
      let path = folder.file(number: base + index + 1, slug: slug, format: format)
      if try AtomicFile.write(bytes, to: path, overwriting: isReplaceable(path)) {
        self.base = base
        return path
      }
      if options.resume, self.base != nil {
        // Another image took the name: use the next free number.
        let path = folder.file(number: folder.firstFreeNumber(), slug: slug, format: format)
        if try AtomicFile.write(bytes, to: path, overwriting: false) { return path }
      } else {
        base += 1
      }
    }
  }

  private func isReplaceable(_ path: String) -> Bool {
    options.overwrite || replaceable.contains(path)
  }

  private func encoded(
    _ image: PixelImage, as format: OutputOptions.Format, parameters: String?
  ) throws -> [UInt8] {
    switch format {
    case .png: try image.png(texts: parameters.map { [("parameters", $0)] } ?? [])
    case .jpeg: try image.jpeg(quality: options.quality, parameters: parameters)
    }
  }

  private static func writeToStandardOutput(_ bytes: [UInt8]) throws(MediaError) {
    guard Terminal.output(bytes) else {
      throw MediaError(
        code: .fileUnwritable, message: "cannot write to standard output: the reader is gone")
    }
  }

  /// Writes the contact sheet, if requested.
  ///
  /// - Returns: its path, or `-`.
  func writeSheet(of pictures: [PixelImage]) throws -> String? {
    guard let sheetTarget, let first = pictures.first else { return nil }
    let columns = Int((Double(pictures.count) * 1.5).squareRoot().rounded())
    let scale = max(1, 256 / max(first.width, first.height))
    let sheet = ContactSheet(columns: max(columns, 1), scale: scale).sheet(of: pictures)
    guard case .file(_, let name, let format) = sheetTarget, let sheetFolder else {
      try Self.writeToStandardOutput(encoded(sheet, as: options.format ?? .png, parameters: nil))
      return "-"
    }
    let path = sheetFolder.file(name)
    let bytes = try encoded(sheet, as: format, parameters: nil)
    guard
      try AtomicFile.write(bytes, to: path, overwriting: options.overwrite || options.resume)
    else { throw Self.present(path) }
    return path
  }
}
