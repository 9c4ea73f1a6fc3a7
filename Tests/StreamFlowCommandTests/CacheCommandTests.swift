import FlowTestSupport
import Foundation
import Testing

/// `streamflow cache` and the limit of the cache.
@Suite(.tags(.process)) struct CacheCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner(ownsCache: true) }

  private func lines(_ arguments: [String], environment: [String: String] = [:]) throws -> [String]
  {
    let outcome = try runner.run(arguments, environment: environment)
    #expect(outcome.status == 0, "\(outcome.error)")
    return outcome.output.split(separator: "\n").map(String.init)
  }

  @Test("Engines are listed with size, age, total and limit, and removed by age and by model")
  func list() throws {
    _ = try lines(["generate", "a fox", "--seed", "1"])
    let list = try lines(["cache"], environment: ["STREAMFLOW_CACHE_LIMIT": "8GB"])
    let total = try #require(list.last)
    #expect(list.count >= 3 && list[0].contains("ago  ") && list[0].hasSuffix(".engine"))
    #expect(total.contains(" engines, ") && total.contains(", at most 8.0 GB, in "))
    let unlimited = try lines(["cache", "list"], environment: ["STREAMFLOW_CACHE_LIMIT": "off"])
    #expect(unlimited.last?.contains(", no limit, in ") == true)
    #expect(
      try lines(["cache", "clear", "--older-than", "1d"])[0].hasPrefix("removed 0 engines, 0 B"))
    #expect(try lines(["cache"]).count == list.count)
    #expect(
      try lines(["cache", "clear", "--model", "starter", "--older-than", "0s"])[0]
        .hasPrefix("removed \(list.count - 1) engines"))
    #expect(try lines(["cache"]).count == 1)
  }

  private struct EngineReport: Decodable {
    struct Engine: Decodable { let is_cached: Bool }
    let engines: [Engine]
  }

  private func cached() throws -> [Bool] {
    let outcome = try runner.run(["generate", "fox", "--json"])
    let report = try JSONDecoder().decode(EngineReport.self, from: Data(outcome.output.utf8))
    return report.engines.map(\.is_cached)
  }

  @Test("Engines are kept, listed and cleared")
  func cache() throws {
    let empty = try runner.run(["cache"], environment: ["STREAMFLOW_CACHE_LIMIT": "off"])
    #expect(empty.output == "0 engines, 0 B, no limit, in \(runner.folder.path)/cache\n")
    #expect(try cached() == [false, false, false])
    #expect(try cached() == [true, true, true])
    let list = try runner.run(["cache", "list"]).output
    #expect(list.contains("unet_1x16x16") && list.contains("3 engines, "))
    #expect(try runner.run(["cache", "clear"]).output.hasPrefix("removed 3 engines, "))
    #expect(try runner.files("cache").isEmpty)
  }

  @Test("Processes that share an empty cache leave whole engines behind")
  func sharedCache() throws {
    let processes = (0..<3).map { index in
      runner.process(["generate", "fox", "--seed", "4", "--quiet", "--output", "\(index)"])
    }
    for process in processes { try process.run() }
    for process in processes {
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
    let pictures = try (0..<3).map { index in
      try Data(contentsOf: URL(filePath: "\(runner.folder.path)/\(index)/0001-fox.png"))
    }
    #expect(Set(pictures).count == 1)
    #expect(
      try runner.files("cache").count == 3
        && runner.files("cache").allSatisfy { $0.hasSuffix(".engine") })
    #expect(try cached() == [true, true, true])
  }

  @Test("A limit or an age that cannot be read is a usage error")
  func refused() throws {
    let limit = try runner.run(
      ["generate", "fox"], environment: ["STREAMFLOW_CACHE_LIMIT": "lots"])
    #expect(limit.status == 64)
    #expect(limit.error.contains("STREAMFLOW_CACHE_LIMIT must be a size such as 8GB"))
    #expect(try runner.run(["cache", "clear", "--older-than", "soon"]).status == 64)
  }

  @Test("A limit of nothing much keeps one engine")
  func small() throws {
    _ = try lines(["generate", "a fox", "--seed", "1"])
    let sizes = try FileManager.default.contentsOfDirectory(atPath: "\(runner.folder.path)/cache")
      .compactMap { name in
        try FileManager.default.attributesOfItem(
          atPath: "\(runner.folder.path)/cache/\(name)")[.size] as? Int
      }
    let limit = sizes.reduce(0, +)
    // Another size of images needs engines for which there is no room.
    _ = try lines(
      ["generate", "a fox", "--seed", "1", "--width", "128", "--height", "64"],
      environment: ["STREAMFLOW_CACHE_LIMIT": "\(limit)"])
    let after = try runner.files("cache").reduce(0) { sum, name in
      sum
        + ((try FileManager.default.attributesOfItem(
          atPath: "\(runner.folder.path)/cache/\(name)")[.size] as? Int) ?? 0)
    }
    #expect(after <= limit && after > 0)
  }
}
