internal import ArgumentParser
internal import FlowModels
internal import StreamFlow

/// `streamflow inspect MODEL --prompts`: the prompts that a model was trained on.
struct PromptListing {
  let checkpoint: Checkpoint

  private struct Report: Encodable {
    struct Subject: Encodable {
      let name: String
      let otherNames: [String]
    }

    let model: String
    let isLimited: Bool
    let template: String?
    let subjects: [Subject]
    let backgrounds: [String]
    let sizes: [String]
  }

  /// Prints the listing: one name a line, followed by its other names.
  func show(asJSON: Bool) throws {
    let vocabulary = checkpoint.vocabulary
    let sizes = (vocabulary?.sizes ?? []).map { "\($0.width)x\($0.height)" }
    guard !asJSON else {
      let report = Report(
        model: checkpoint.name, isLimited: vocabulary != nil, template: vocabulary?.template,
        subjects: (vocabulary?.subjects ?? []).map {
          Report.Subject(name: $0.name, otherNames: $0.otherNames)
        }, backgrounds: vocabulary?.backgrounds ?? [], sizes: sizes)
      Terminal.output(try JSON.text(of: report))
      return
    }
    guard let vocabulary else {
      Terminal.output("\(checkpoint.name) lists no prompts; it takes any text")
      return
    }
    var header = ["prompt       \(vocabulary.template)"]
    if !sizes.isEmpty { header.append("size         \(sizes.joined(separator: ", ")) pixels") }
    header.append("backgrounds  \(vocabulary.backgrounds.joined(separator: ", "))")
    header.append("subjects     \(vocabulary.subjects.count), each with its other names:")
    let subjects = vocabulary.subjects.sorted { $0.name < $1.name }.map { subject in
      let others = subject.otherNames.joined(separator: ", ")
      return "  \(subject.name)\(others.isEmpty ? "" : " (\(others))")"
    }
    Terminal.output((header + subjects).joined(separator: "\n"))
  }
}
