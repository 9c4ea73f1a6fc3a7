internal import ArgumentParser
internal import FlowImage
internal import Foundation
internal import StreamFlow

/// An image file, or the images of a folder, with their text metadata.
struct InspectedImages {
  private let paths: [String]
  private let isFolder: Bool
  private let subject: String

  private static let endings: Set = ["png", "jpg", "jpeg", "jfif"]

  /// Finds the images at a path; nil if it leads to something else, such as a model.
  init?(at path: String) throws {
    var isFolder: ObjCBool = false
    let manager = FileManager.default
    guard unsafe manager.fileExists(atPath: path, isDirectory: &isFolder) else {
      guard Self.isImage(path) || Self.isOtherImage(path) else { return nil }
      throw MediaError(code: .fileUnreadable, message: "there is no file '\(path)'")
    }
    subject = path
    self.isFolder = isFolder.boolValue
    guard isFolder.boolValue else {
      guard Self.isImage(path) || Self.isOtherImage(path) || Self.startsAsImage(path) else {
        return nil
      }
      paths = [path]
      return
    }
    let names = try manager.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }
    // A model's folder may contain sample images.
    guard !names.contains("model_index.json"), !names.contains("unet") else { return nil }
    paths = names.filter(Self.isImage).sorted {
      $0.localizedStandardCompare($1) == .orderedAscending
    }
    .map { "\(path)/\($0)" }
    guard !paths.isEmpty else { return nil }
  }

  private static func isImage(_ path: String) -> Bool {
    endings.contains(URL(filePath: path).pathExtension.lowercased())
  }

  /// Whether a name is that of an image in an unsupported format, which an error then names.
  private static func isOtherImage(_ path: String) -> Bool {
    ["webp", "gif", "tif", "tiff", "bmp", "avif", "heic", "jxl"]
      .contains(URL(filePath: path).pathExtension.lowercased())
  }

  private static func startsAsImage(_ path: String) -> Bool {
    guard let file = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? file.close() }
    let start = Array((try? file.read(upToCount: 8)) ?? Data())
    return PNGChunks.isPNG(start) || start.starts(with: [0xff, 0xd8, 0xff])
  }

  private struct Report: Encodable {
    let file: String
    var prompt: String?
    var negativePrompt: String?
    var settings: [String: InspectedSettings.Value]?
    var parameters: String?
    var texts: [String: String]?
    var error: String?
  }

  /// Prints the texts of each image; for a folder, the settings of each.
  ///
  /// - Throws: the error of the first unreadable image, after all others are shown.
  func show(asJSON json: Bool) throws {
    var firstError: MediaError?
    var reports: [Report] = []
    for path in paths {
      do throws(MediaError) {
        let metadata = try ImageMetadata(path: path)
        guard json else {
          show(metadata, of: path)
          continue
        }
        let texts = metadata.texts.map { ($0.keyword, $0.text) }
        let settings = metadata.parameters.map {
          InspectedSettings(GenerationSettings(parsing: $0))
        }
        reports.append(
          Report(
            file: path, prompt: settings?.prompt, negativePrompt: settings?.negativePrompt,
            settings: settings?.settings, parameters: metadata.parameters,
            texts: Dictionary(texts) { first, _ in first }))
      } catch {
        guard isFolder else { throw error }
        firstError = firstError ?? error
        reports.append(Report(file: path, error: "\(error)"))
        Terminal.error("\(error)")
      }
    }
    if json {
      Terminal.output(try isFolder ? JSON.text(of: reports) : JSON.text(of: reports[0]))
    }
    if let firstError { throw ExitStatus.of(firstError) }
  }

  private func show(_ metadata: ImageMetadata, of path: String) {
    guard !isFolder else {
      let settings = metadata.parameters ?? "no settings"
      Terminal.output(
        path + "\n" + settings.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
      return
    }
    guard !metadata.texts.isEmpty else {
      Terminal.output("\(subject) contains no text")
      return
    }
    for text in metadata.texts {
      let isSettings = text.text == metadata.parameters
      Terminal.output(isSettings ? text.text : "\(text.keyword): \(text.text)")
    }
  }
}
