internal import ArgumentParser
internal import FlowModels
internal import Foundation

/// Preprocesses the arguments before they are parsed.
enum ArgumentList {
  /// Joins options with negative numbers that follow them, `--seed -1` to `--seed=-1`: the parser
  /// would take the number for an option.
  static func joiningNegativeNumbers(in arguments: [String]) -> [String] {
    let long = ["-s": "--seed", "-n": "--count"]
    var result: [String] = []
    for (index, argument) in arguments.enumerated() {
      // The parser does not interpret what follows.
      if argument == "--" { return result + arguments[index...] }
      if let option = result.last, index > 0, arguments[index - 1] == option,
        option.hasPrefix("-"), !option.contains("="), isNegativeNumber(argument)
      {
        result[result.count - 1] = "\(long[option] ?? option)=\(argument)"
      } else {
        result.append(argument)
      }
    }
    return result
  }

  private static func isNegativeNumber(_ text: String) -> Bool {
    guard text.hasPrefix("-"), let first = text.dropFirst().first else { return false }
    return (first.isASCII && first.isNumber || first == ".") && Double(text) != nil
  }
}

/// Names of an earlier release, which still work.
enum RetiredNames {
  /// The retired names of commands, and their names now.
  private static let commands = ["adopt": "configure"]
  /// The retired names of options, and their names now.
  private static let options = ["--stages": "--batch-size"]

  /// The current name of a retired setting of a settings file; nil if it is not retired.
  static func setting(_ key: String) -> String? {
    options["--" + key].map { String($0.dropFirst(2)) }
  }

  /// Arguments with current names in place of retired ones, and a note on each.
  static func current(_ arguments: [String]) -> (arguments: [String], notes: [String]) {
    var (result, notes) = (arguments, [String]())
    for (index, argument) in arguments.enumerated() {
      // What follows is not interpreted.
      if argument == "--" { break }
      let (name, value) = argument.splitAtFirst("=")
      let isCommand = arguments[..<index].allSatisfy { $0 == "help" }
      guard let current = options[name] ?? (isCommand ? commands[name] : nil) else { continue }
      result[index] = current + value
      notes.append("note: '\(name)' is now '\(current)'; the old name will be removed")
    }
    return (result, notes)
  }
}

extension String {
  /// The text before the first of a character, and the rest with it.
  fileprivate func splitAtFirst(_ character: Character) -> (String, String) {
    let end = firstIndex(of: character) ?? endIndex
    return (String(self[..<end]), String(self[end...]))
  }
}

/// Detects unknown names of commands.
enum CommandNames {
  /// The error of an unknown command name, with a suggestion; nil if the name is known.
  ///
  /// - Parameters:
  ///   - arguments: all arguments.
  ///   - root: the command that receives them.
  static func problem(
    in arguments: [String], root: any ParsableCommand.Type
  ) -> String? {
    var (names, command) = (["streamflow"], root)
    // `help x` is about the command x.
    for argument in arguments.drop(while: { $0 == "help" }) {
      guard !argument.hasPrefix("-") else { return nil }
      let subcommands = command.configuration.subcommands
      guard !subcommands.isEmpty else { return nil }
      if let next = subcommands.first(where: {
        $0.configuration.commandName == argument || $0.configuration.aliases.contains(argument)
      }) {
        names.append(argument)
        command = next
        continue
      }
      var known: [String] = []
      for subcommand in subcommands where subcommand.configuration.shouldDisplay {
        if let name = subcommand.configuration.commandName { known.append(name) }
      }
      let name = names.joined(separator: " ")
      if names.count == 1, argument.contains(where: \.isWhitespace) || argument.isEmpty {
        return "there is no command '\(argument)'; to generate an image of a prompt: "
          + "\(name) generate \"\(argument.isEmpty ? "a fox" : argument)\""
      }
      if names.count == 1, ["version", "info"].contains(argument) {
        return "there is no command '\(argument)'; \(name) --version shows the version"
      }
      let start = "there is no command '\(argument)'"
      if let meant = nearest(to: argument.lowercased(), among: known) {
        return "\(start); did you mean '\(name) \(meant)'?"
      }
      return "\(start); \(name) has \(known.joined(separator: ", "))"
    }
    return nil
  }

  /// The most similar name: one that starts with the argument, or one with few letters changed.
  static func nearest(to argument: String, among names: [String]) -> String? {
    if let name = names.first(where: { $0.hasPrefix(argument) }) { return name }
    let close = names.map { name in
      (name, Spelling.distance(Array(argument.utf8), Array(name.utf8)))
    }.min { $0.1 < $1.1 }
    guard let (name, count) = close, count <= max(name.count / 3, 1) else { return nil }
    return name
  }
}

/// Options of other programs with an equivalent here.
enum ForeignOptions {
  private static let remedies: [String: String] = [
    "--sampler": "--solver and --schedule", "--sampling-method": "--solver and --schedule",
    "--sampler-name": "--solver and --schedule", "--scheduler": "--schedule",
    "--num-inference-steps": "--steps", "--sample-steps": "--steps", "--step": "--steps",
    "--batch-count": "--count", "--num-images": "--count", "--num-images-per-prompt": "--count",
    "--images": "--count", "--number": "--count",
    "--ckpt": "--model", "--checkpoint": "--model", "--diffusion-model": "--model",
    "--out": "--output", "--outdir": "--output", "--outfile": "--output",
    "--output-dir": "--output", "--out-dir": "--output",
    "--init-img": "`streamflow edit IMAGE PROMPT`",
    "--init-image": "`streamflow edit IMAGE PROMPT`",
    "--image": "`streamflow edit IMAGE PROMPT`",
    "--input": "`streamflow edit IMAGE PROMPT`",
    "--gpu": "--device GPU", "--cuda": "--device GPU", "--cpu": "--device CPU",
    "--cache": "--solver taylorseer, which extrapolates outputs between evaluations",
    "--fp16": "--precision f16", "--bf16": "--precision bf16", "--int8": "--precision int8",
    "--dtype": "--precision", "--rng": "--noise", "--lora-scale": "--lora FILE:SCALE",
    "--resolution": "--size", "--res": "--size", "--force": "--overwrite",
    "--prompt-file": "--prompts-file", "--verbose": "--json, which reports all times",
    "--denoising-strength": "--strength", "-W": "--width", "-H": "--height", "-b": "--count",
    "-v": "--version", "-V": "--version",
    "-i": "`streamflow edit IMAGE PROMPT`",
  ]

  /// The equivalent of another program's option.
  static func remedy(of option: String) -> String? { remedies[option] }

  /// An unknown-option error with a hint, if another program has that option.
  static func hinted(_ text: String) -> String {
    let start = "error: Unknown option '"
    guard text.hasPrefix(start) else { return text }
    let rest = text.dropFirst(start.count)
    guard let end = rest.firstIndex(of: "'"), let remedy = remedy(of: String(rest[..<end])) else {
      return text
    }
    let lines = rest[end...].drop { $0 != "\n" }
    return start + rest[..<end] + "'; use \(remedy)" + lines
  }
}
