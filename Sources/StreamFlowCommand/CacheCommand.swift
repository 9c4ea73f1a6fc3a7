internal import ArgumentParser
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow cache`: the compiled engines on disk.
struct CacheCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache", abstract: "List and remove the compiled engines on disk.",
    discussion: """
      Engines are cached in $STREAMFLOW_CACHE. $STREAMFLOW_CACHE_LIMIT is the maximum size of the \
      cache, such as 8GB, or off; by default a tenth of the disk's free space, at least 4 GB. \
      Beyond it, the engines used least recently are removed.
      """,
    subcommands: [ListCommand.self, ClearCommand.self], defaultSubcommand: ListCommand.self)

  /// The cache that the environment names.
  static func cache(report: @escaping @Sendable (String) -> Void = { _ in }) throws -> EngineCache {
    do throws(EngineError) {
      return EngineCache(
        folder: EngineCache.defaultFolder(), limit: try EngineCacheLimit.named(), report: report)
    } catch { throw ValidationError(error.message) }
  }

  private static func count(_ entries: [EngineCache.Entry]) -> String {
    "\(entries.count) \(entries.count == 1 ? "engine" : "engines"), "
      + Size.text(entries.reduce(0) { $0 + $1.byteCount })
  }

  /// `streamflow cache list`.
  struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the engines with their sizes and last use.")

    func run() async throws {
      try await reporting {
        let cache = try CacheCommand.cache()
        let entries = try cache.entries()
        for entry in entries {
          Terminal.output(
            "\(Size.text(entry.byteCount))  \(Age.text(since: entry.date))  \(entry.name)  "
              + entry.path)
        }
        let limit = try cache.limitByteCount().map { "at most \(Size.text($0))" } ?? "no limit"
        Terminal.output("\(count(entries)), \(limit), in \(cache.folder)")
      }
    }
  }

  /// `streamflow cache clear`.
  struct ClearCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "clear", abstract: "Remove engines; they are compiled again when needed.",
      discussion: """
        Examples:
          streamflow cache clear
          streamflow cache clear --older-than 7d
          streamflow cache clear --model models/sd15
        """)

    @Option(
      help: ArgumentHelp(
        "Only engines not used for this long, such as 7d, 12h or 30m.", valueName: "age"))
    var olderThan: Age?

    @Option(help: "Only engines compiled from this model's current weights.")
    var model: String?

    @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

    func run() async throws {
      try await reporting {
        let cache = try CacheCommand.cache()
        var entries = try cache.entries()
        if let olderThan {
          let latest = Date(timeIntervalSinceNow: -Double(olderThan.seconds))
          entries = entries.filter { $0.date < latest }
        }
        if let model {
          let identities = try Checkpoint.named(model, autoencoder: .automatic).weightIdentities
          entries = entries.filter { cache.isEntry($0, compiledFrom: identities) }
        }
        try cache.remove(entries)
        Terminal.output("removed \(count(entries)), from \(cache.folder)")
      }
    }
  }
}

/// A duration, as the age of a file.
struct Age: ExpressibleByArgument {
  let seconds: Int

  private static let units = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]

  /// Reads a number with a unit: `w`, `d`, `h`, `m` or `s`.
  init?(argument: String) {
    let units = [("w", 604_800)] + Self.units
    guard let unit = units.first(where: { argument.hasSuffix($0.0) }),
      let number = Int(argument.dropLast()), (0...1_000_000).contains(number)
    else { return nil }
    seconds = number * unit.1
  }

  /// The time since a date in its largest unit, such as `3d ago`.
  static func text(since date: Date) -> String {
    let seconds = max(Int(-date.timeIntervalSinceNow), 0)
    let (unit, length) = units.first { seconds >= $0.1 } ?? ("s", 1)
    let text = "\(seconds / length)\(unit) ago"
    return String(repeating: " ", count: max(7 - text.count, 0)) + text
  }
}

/// Formats sizes.
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
