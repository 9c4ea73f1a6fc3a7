internal import ArgumentParser
internal import Foundation

/// A command and its arguments, as the parser describes them.
struct CommandSyntax: Decodable {
  struct Argument: Decodable {
    enum Kind: String, Decodable { case positional, option, flag }

    struct Name: Decodable {
      let kind: String
      let name: String

      var isLong: Bool { kind == "long" }
      /// The name as it is typed.
      var text: String { isLong ? "--\(name)" : "-\(name)" }
    }

    let kind: Kind
    let shouldDisplay: Bool
    let isRepeating: Bool
    let names: [Name]?
    let preferredName: Name?
    let valueName: String?
    let defaultValue: String?
    let allValues: [String]?
    let abstract: String?
  }

  let commandName: String
  let aliases: [String]?
  let shouldDisplay: Bool
  let arguments: [Argument]?
  let subcommands: [CommandSyntax]?

  private struct Dump: Decodable {
    let command: CommandSyntax
  }

  /// Describes a command and its subcommands.
  init(of command: any ParsableCommand.Type) throws {
    self = try JSONDecoder().decode(Dump.self, from: Data(command._dumpHelp().utf8)).command
  }

  /// The subcommand that arguments begin with, with the names that lead to it; nil if there is
  /// none.
  func command(of arguments: [String]) -> (syntax: CommandSyntax, path: [String])? {
    var (syntax, path) = (self, [String]())
    for argument in arguments {
      guard
        let next = syntax.subcommands?.first(where: {
          $0.commandName == argument || ($0.aliases ?? []).contains(argument)
        })
      else { break }
      path.append(next.commandName)
      syntax = next
    }
    return path.isEmpty ? nil : (syntax, path)
  }

  /// The commands that do something themselves and are shown, with their full names.
  func leaves(path: [String] = []) -> [(name: String, syntax: CommandSyntax)] {
    (subcommands ?? []).flatMap { command -> [(name: String, syntax: CommandSyntax)] in
      guard command.shouldDisplay, command.commandName != "help" else { return [] }
      let path = path + [command.commandName]
      guard command.subcommands == nil else { return command.leaves(path: path) }
      return [(path.joined(separator: " "), command)]
    }
  }
}
