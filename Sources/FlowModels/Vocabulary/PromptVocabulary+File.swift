internal import Foundation

extension PromptVocabulary {
  static let fileName = "streamflow-vocabulary.json"

  private struct File: Decodable {
    let subjects: [[String]]
    let backgrounds: [String]
    let ignored: [String]
    let template: String
    let sizes: [String]?
    let subjectLimit: Int?
    let correctsSpelling: Bool?
    let otherWords: [String]?
  }

  /// Reads the vocabulary beside a model's `streamflow.json`, if there is one.
  init?(beside notes: ModelNotes) throws(ModelError) {
    let path = notes.path(of: Self.fileName)
    guard ConfigurationFile.exists(path) else { return nil }
    try self.init(path: path)
  }

  /// Reads a file.
  init(path: String) throws(ModelError) {
    func invalid(_ problem: String, _ cause: (any Error)? = nil) -> ModelError {
      ModelError(
        code: .fileInvalid,
        message: "'\(path)' \(problem); expected an object with 'subjects' (arrays of names), "
          + "'backgrounds', 'ignored', 'template' and optionally 'sizes', 'subjectLimit', "
          + "'correctsSpelling' and 'otherWords'. Correct or remove the file",
        cause: cause)
    }
    let file: File
    do {
      file = try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(filePath: path)))
    } catch { throw invalid("is not a vocabulary", error) }
    var subjects: [Subject] = []
    for (index, names) in file.subjects.enumerated() {
      guard let name = names.first, !names.contains(where: { PromptWord.pieces(of: $0).isEmpty })
      else { throw invalid("has no name in subjects[\(index)]") }
      subjects.append(Subject(name: name, otherNames: Array(names.dropFirst())))
    }
    guard !subjects.isEmpty else { throw invalid("has no subjects") }
    guard file.template.contains("{subject}") else {
      throw invalid("has no '{subject}' in 'template'")
    }
    var sizes: [(width: Int, height: Int)] = []
    for (index, size) in (file.sizes ?? []).enumerated() {
      let sides = size.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
      guard sides.count == 2, let width = sides[0], let height = sides[1], width > 0, height > 0
      else { throw invalid("has no size such as '64x64' in sizes[\(index)]") }
      sizes.append((width, height))
    }
    guard file.subjectLimit ?? 1 > 0 else { throw invalid("has a 'subjectLimit' below 1") }
    self.init(
      subjects: subjects, backgrounds: file.backgrounds, ignored: file.ignored,
      template: file.template, sizes: sizes, subjectLimit: file.subjectLimit ?? 1,
      correctsSpelling: file.correctsSpelling ?? false, otherWords: file.otherWords ?? [])
  }
}
