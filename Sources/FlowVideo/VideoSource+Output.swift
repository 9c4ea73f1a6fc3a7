public import FlowImage
internal import Foundation

extension VideoSource {
  /// Rejects an output that would replace what this source reads, under any name: another spelling,
  /// a link, or a file that matches its image pattern.
  ///
  /// - Parameter path: the output path; `-` is standard output.
  /// - Throws: `outputIsInput`.
  public func check(output path: String) throws(MediaError) {
    guard path != "-" else { return }
    switch self {
    case .file(let input):
      guard VideoInput.address(of: input) != input else { return }
      if let pattern = ImagePattern(path), URL(filePath: path).pathExtension.lowercased() == "png" {
        try refuse([input], matching: pattern, output: path)
      } else if FileIdentity.isSame(input, path) {
        throw Self.refusal(input, output: path)
      }
    case .pictures(let input, _):
      let inputs: [String]
      if let pattern = ImagePattern(input) {
        inputs = pattern.files()
      } else {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: input)) ?? []
        inputs = names.map { "\(input)/\($0)" }
      }
      if let pattern = ImagePattern(path), URL(filePath: path).pathExtension.lowercased() == "png" {
        try refuse(inputs, matching: pattern, output: path)
      } else if let same = inputs.first(where: { FileIdentity.isSame($0, path) }) {
        throw Self.refusal(same, output: path)
      }
    case .camera, .screen, .standardInput, .generated: return
    }
  }

  private func refuse(
    _ inputs: [String], matching pattern: ImagePattern, output: String
  ) throws(MediaError) {
    let outputs = pattern.files()
    for input in inputs {
      guard let same = outputs.first(where: { FileIdentity.isSame(input, $0) }) else { continue }
      throw Self.refusal(same, output: output)
    }
  }

  private static func refusal(_ input: String, output: String) -> MediaError {
    MediaError(
      code: .outputIsInput,
      message: "the output '\(output)' would replace the input '\(input)'; choose another output")
  }
}

/// A name with one number, such as `out/%04d.png`.
struct ImagePattern {
  let folder: String
  private let before: Substring
  private let after: Substring

  /// - Returns: nil for a name without exactly one number.
  init?(_ path: String) {
    let url = URL(filePath: path)
    let name = url.lastPathComponent
    guard let match = name.wholeMatch(of: /([^%]*)%0?\d*d([^%]*)/) else { return nil }
    folder = url.deletingLastPathComponent().path
    (before, after) = (match.1, match.2)
  }

  /// Whether a name, without its folder, matches the pattern.
  func matches(_ name: String) -> Bool {
    name.hasPrefix(before) && name.hasSuffix(after) && name.count > before.count + after.count
      && name.dropFirst(before.count).dropLast(after.count).allSatisfy(\.isNumber)
  }

  /// The existing files that match the pattern, in the order of their names.
  func files() -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter(matches).sorted().map { "\(folder)/\($0)" }
  }
}
