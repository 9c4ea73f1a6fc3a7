internal import Foundation

/// Counts the instructions of pure parts under valgrind, and holds them against the committed ones.
///
///     InstructionCounts [--write] FILE     counts all parts; --write replaces the file
///     InstructionCounts run PART COUNT     what is counted
///
/// Each part is run some number of times and twice that: the difference is free of what comes before
/// and after. Counts do not depend on the machine's load; they do on the compiler.
@main
enum InstructionCounts {
  /// By how much a count may grow before it is an error.
  static let tolerance = 0.05

  static func main() {
    do { try count() } catch {
      FileHandle.standardError.write(Data("error: \(error)\n".utf8))
      exit(1)
    }
  }

  private static func count() throws {
    var arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.count == 3, arguments[0] == "run", let part = Part(rawValue: arguments[1]),
      let count = Int(arguments[2])
    {
      try part.run(count)
      return
    }
    let writes = arguments.first == "--write"
    if writes { arguments.removeFirst() }
    guard let path = arguments.first else {
      throw Failure(description: "usage: InstructionCounts [--write] thresholds.json")
    }
    let url = URL(filePath: path)
    let known =
      (try? JSONDecoder().decode([String: Int].self, from: Data(contentsOf: url))) ?? [:]
    var counted: [String: Int] = [:]
    var grown: [String] = []
    for part in Part.allCases {
      let count = try instructions(of: part)
      counted[part.rawValue] = count
      let before = known[part.rawValue]
      let change = before.map { Double(count) / Double($0) - 1 }
      print(
        part.rawValue, count,
        change.map { String(format: "%+.1f %%", 100 * $0) } ?? "new", separator: "\t")
      if let change, change > tolerance { grown.append(part.rawValue) }
    }
    if writes {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try (encoder.encode(counted) + Data("\n".utf8)).write(to: url, options: .atomic)
      return
    }
    let absent = Part.allCases.map(\.rawValue).filter { known[$0] == nil }
    guard grown.isEmpty, absent.isEmpty else {
      throw Failure(
        description: (grown.map { "\($0) takes over 5 % more instructions than '\(path)' says" }
          + absent.map { "'\(path)' does not contain \($0)" }).joined(separator: "\n")
          + "\nmake it cheaper again, or accept it with --write and say why in the commit")
    }
  }

  private static func instructions(of part: Part) throws -> Int {
    let counts = try [10, 20].map { try collected(part, $0) }
    return (counts[1] - counts[0]) / 10
  }

  private static func collected(_ part: Part, _ count: Int) throws -> Int {
    let process = Process()
    let errors = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
      Bundle.main.executablePath ?? CommandLine.arguments[0], "run", part.rawValue, "\(count)",
    ]
    // Dictionaries are laid out alike in every run so.
    process.environment = ProcessInfo.processInfo.environment
      .merging(["SWIFT_DETERMINISTIC_HASHING": "1"]) { $1 }
    process.standardError = errors
    try process.run()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0,
      let line = text.split(separator: "\n").first(where: { $0.contains("Collected :") }),
      let number = line.split(separator: " ").last.flatMap({ Int($0) })
    else {
      throw Failure(
        description: "valgrind did not count \(part.rawValue) (apt-get install valgrind?): "
          + text.suffix(300))
    }
    return number
  }

  private struct Failure: Error, CustomStringConvertible {
    let description: String
  }
}
