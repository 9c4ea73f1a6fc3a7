internal import ArgumentParser
internal import FlowEngine
internal import Foundation

/// `streamflow cache`: the compiled engines on disk.
struct CacheCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache", abstract: "List, measure and clear the compiled engines on disk.",
    subcommands: [ListCommand.self, ClearCommand.self], defaultSubcommand: ListCommand.self)

  static var cache: EngineCache { EngineCache(folder: EngineCache.defaultFolder()) }

  /// `streamflow cache list`.
  struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the engines with their sizes.")

    func run() async throws {
      try await reporting {
        let cache = CacheCommand.cache
        let entries = try cache.entries()
        for entry in entries {
          Terminal.output("\(Size.text(entry.byteCount))  \(entry.name)  \(entry.path)")
        }
        let total = entries.reduce(0) { $0 + $1.byteCount }
        Terminal.output(
          "\(entries.count) \(entries.count == 1 ? "engine" : "engines"), \(Size.text(total)), in "
            + cache.folder)
      }
    }
  }

  /// `streamflow cache clear`.
  struct ClearCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "clear", abstract: "Remove all engines; they are compiled anew when needed.")

    func run() async throws {
      try await reporting {
        let cache = CacheCommand.cache
        let entries = try cache.entries()
        try cache.clear()
        let total = entries.reduce(0) { $0 + $1.byteCount }
        Terminal.output(
          "removed \(entries.count) \(entries.count == 1 ? "engine" : "engines"), "
            + "\(Size.text(total)), from \(cache.folder)")
      }
    }
  }
}

/// Sizes as people read them.
enum Size {
  static func text(_ byteCount: Int) -> String {
    var (value, unit) = (Double(byteCount), 0)
    let units = ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(byteCount) B" : String(format: "%.1f %@", value, units[unit])
  }
}
