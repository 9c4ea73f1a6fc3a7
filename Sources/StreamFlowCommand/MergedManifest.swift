internal import FlowImage
internal import Foundation

/// The joined manifests of all processes of a run, in the order of the images.
struct MergedManifest {
  let lines: [Manifest.Line]

  /// Joins manifests.
  ///
  /// - Parameter files: their names and contents.
  /// - Throws: a failure that says which images are missing, or named twice.
  init(_ files: [(name: String, contents: Data)]) throws {
    let decoder = JSONDecoder()
    var found: [Int: (line: Manifest.Line, file: String)] = [:]
    var total: (count: Int, file: String)?
    for (name, contents) in files {
      for (number, text) in contents.split(separator: UInt8(ascii: "\n")).enumerated() {
        guard let line = try? decoder.decode(Manifest.Line.self, from: Data(text)) else {
          throw CommandFailure(
            "'\(name)', line \(number + 1) is not a line of a manifest; run its process again, "
              + "which repairs it", code: EX_DATAERR)
        }
        if let total, total.count != line.of {
          throw CommandFailure(
            "'\(total.file)' belongs to a run of \(total.count) images and '\(name)' to one of "
              + "\(line.of); merge the manifests of one run", code: EX_DATAERR)
        }
        total = (line.of, name)
        guard (0..<line.of).contains(line.index) else {
          throw CommandFailure(
            "'\(name)', line \(number + 1) names image \(line.index) of \(line.of); images count "
              + "from 0", code: EX_DATAERR)
        }
        if let other = found.updateValue((line, name), forKey: line.index) {
          throw CommandFailure(
            "image \(line.index) is named twice, in '\(other.file)' and in '\(name)'; merge each "
              + "process's manifest once, and those of one number of processes only",
            code: EX_DATAERR)
        }
      }
    }
    guard let total else {
      throw CommandFailure("the manifests name no image; has the run begun?", code: EX_DATAERR)
    }
    let missing = (0..<total.count).filter { found[$0] == nil }
    guard missing.isEmpty else {
      throw CommandFailure(
        "\(missing.count) of \(total.count) images are missing: \(Self.words(missing)); run the "
          + "processes that make them again, or name all manifests", code: EX_DATAERR)
    }
    lines = found.values.map(\.line).sorted { $0.index < $1.index }
  }

  /// The first numbers of a list.
  private static func words(_ numbers: [Int]) -> String {
    numbers.prefix(8).map(String.init).joined(separator: ", ") + (numbers.count > 8 ? " ..." : "")
  }

  /// The contents of its file.
  func bytes() throws -> [UInt8] { try lines.flatMap { try Manifest.bytes($0) } }

  /// The manifests that paths name: files, and all manifests of a folder.
  ///
  /// - Throws: a failure for a folder with manifests of different numbers of processes.
  static func files(at paths: [String]) throws -> [(name: String, contents: Data)] {
    var names: [String] = []
    for path in paths {
      var isFolder: ObjCBool = false
      guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw CommandFailure("there is no manifest '\(path)'", code: EX_NOINPUT)
      }
      guard isFolder.boolValue else {
        names.append(path)
        continue
      }
      let found = try FileManager.default.contentsOfDirectory(atPath: path)
        .filter { $0.wholeMatch(of: #/manifest-\d+-of-\d+\.jsonl/#) != nil }.sorted()
      guard !found.isEmpty else {
        throw CommandFailure(
          "'\(path)' has no manifest-RANK-of-WORLD.jsonl; `streamflow generate --distributed` "
            + "writes them", code: EX_NOINPUT)
      }
      let worlds = Set(found.map { $0.split(separator: "-").last ?? "" })
      guard worlds.count == 1 else {
        throw CommandFailure(
          "'\(path)' has manifests of different numbers of processes (\(found[0]), "
            + "\(found[found.count - 1])); name those to merge", code: EX_USAGE)
      }
      names += found.map { OutputFolder.join(path, $0) }
    }
    return try names.map { name in
      guard let contents = FileManager.default.contents(atPath: name) else {
        throw CommandFailure("cannot read '\(name)'", code: EX_NOINPUT)
      }
      return (name, contents)
    }
  }
}
