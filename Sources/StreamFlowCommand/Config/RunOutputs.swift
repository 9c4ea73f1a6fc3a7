internal import Foundation

/// The outputs of the runs of a file: each run has its own folder or file.
struct RunOutputs {
  /// The options that name what a run writes.
  private static let keys = ["output", "contact-sheet"]

  let table: SettingTable
  let given: GivenArguments
  /// The runs that named a path themselves.
  private var owners: [String: String] = [:]

  init(table: SettingTable, given: GivenArguments) {
    (self.table, self.given) = (table, given)
  }

  /// The options that place a run's output.
  ///
  /// A run's own output is used as it is, and so is that of the command line for a run chosen by
  /// name. Others are shared by all runs, and get the run's name.
  mutating func arguments(
    ofRun name: String, own: ConfigSettings, common: ConfigSettings, path: String
  ) throws -> [String] {
    var result: [String] = []
    for key in Self.keys {
      guard let index = table.place(of: key)?.index else { continue }
      let typed = given.settings[index]
      if typed != nil, given.run != nil { continue }
      if typed == nil, let value = own.values[index], case .words(let words) = value.content {
        guard let output = words.last, output != "-" else { continue }
        if let other = owners.updateValue(name, forKey: "\(key) \(output)") {
          throw ConfigFile.failure(
            "'\(value.key)' of run '\(name)' must differ from that of run '\(other)', got "
              + "'\(output)' twice", line: value.line, path: path)
        }
        continue
      }
      guard
        let shared = typed ?? Self.text(own.values[index] ?? common.values[index])
          ?? table.settings[index].argument.defaultValue
      else { continue }
      result.append("--\(key)=\(Self.path(of: name, in: shared))")
    }
    return result
  }

  private static func text(_ value: ConfigSettings.Value?) -> String? {
    guard case .words(let words) = value?.content else { return nil }
    return words.last
  }

  /// The output of a run: a folder in a folder, a file beside a file.
  static func path(of name: String, in path: String) -> String {
    guard path != "-" else { return path }
    let url = URL(filePath: path)
    let ending = url.pathExtension
    guard ending.first?.isLetter == true, !path.hasSuffix("/"), !OutputTarget.isFolder(path) else {
      return OutputFolder.join(path, name)
    }
    return "\(path.dropLast(ending.count + 1))-\(name).\(ending)"
  }
}
