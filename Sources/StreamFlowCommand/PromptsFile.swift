internal import ArgumentParser
internal import FlowText
internal import Foundation

/// A file with one prompt per line.
enum PromptsFile {
  /// Reads the prompts of a file, or of standard input for `-`.
  ///
  /// Empty lines and comments, which begin with `#`, are skipped. A prompt that begins with `#` is
  /// written as `\#`.
  static func prompts(at path: String) throws -> [String] {
    let name = path == "-" ? "standard input" : "'\(path)'"
    func failure(_ message: String, _ code: Int32) -> ExitCode {
      Terminal.error(message)
      return ExitCode(code)
    }
    let data: Data
    if path == "-" {
      data = FileHandle.standardInput.readDataToEndOfFile()
    } else {
      var isFolder: ObjCBool = false
      guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw failure("there is no file \(name)", EX_NOINPUT)
      }
      guard !isFolder.boolValue else {
        throw failure("\(name) is a folder, expected a file with one prompt per line", EX_NOINPUT)
      }
      do {
        // A pipe too, as in `--prompts-file <(...)`.
        data = try FileHandle(forReadingFrom: URL(filePath: path)).readToEnd() ?? Data()
      } catch {
        throw failure("cannot read \(name): \(error.localizedDescription)", EX_NOINPUT)
      }
    }
    do { return prompts(in: try DecodedText(Array(data)).text) } catch {
      throw failure("\(name): \(error.message)", EX_DATAERR)
    }
  }

  static func prompts(in text: String) -> [String] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      // Concatenated files contain byte-order marks.
      let blanks = CharacterSet.whitespaces.union(["\u{feff}"])
      let prompt = line.trimmingCharacters(in: blanks)
      guard !prompt.isEmpty, !prompt.hasPrefix("#") else { return nil }
      return prompt.hasPrefix("\\#") ? String(prompt.dropFirst()) : prompt
    }
  }
}
