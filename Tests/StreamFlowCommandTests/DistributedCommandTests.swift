import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlowCommand

/// One run by many processes that do not know of each other.
@Suite(.tags(.process)) struct DistributedCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws { runner = try CommandRunner() }

  private func contents(_ name: String) throws -> [String: Data] {
    Dictionary(
      uniqueKeysWithValues: try runner.files(name).map { file in
        (file, try Data(contentsOf: URL(filePath: "\(folder.path)/\(name)/\(file)")))
      })
  }

  private let command = [
    "generate", "a fox", "a rocket", "--count", "4", "--seed", "5", "--distributed",
  ]

  private func share(_ rank: Int, of world: Int, _ output: String) throws -> CommandRunner.Outcome {
    try runner.run(
      command + ["--output", output],
      environment: ["SLURM_PROCID": "\(rank)", "SLURM_NTASKS": "\(world)"])
  }

  @Test("Three processes make the images and the manifest of one, byte for byte")
  func worlds() throws {
    #expect(try share(0, of: 1, "one").status == 0)
    for rank in [2, 0, 1] {
      let outcome = try share(rank, of: 3, "three")
      #expect(outcome.status == 0, "\(outcome.error)")
      #expect(!outcome.error.contains("warning"), "\(outcome.error)")
    }
    for name in ["one", "three"] {
      let merged = try runner.run(["merge", name, "--output", "\(name)/all.jsonl"])
      #expect(merged.status == 0, "\(merged.error)")
      #expect(merged.output == "8 images: \(name)/all.jsonl\n")
    }
    func isShared(_ file: String) -> Bool { !file.hasPrefix("manifest-") }
    let (one, three) = (try contents("one"), try contents("three"))
    #expect(one.filter { isShared($0.key) } == three.filter { isShared($0.key) })
    #expect(one.keys.count { $0.hasSuffix(".png") } == 8)
    #expect(one["0001-a-fox.png"] != nil && one["0008-a-rocket.png"] != nil)
    // The same seeds and names as without processes.
    let plain = try runner.run(
      command.filter { $0 != "--distributed" } + ["--output", "plain", "--quiet"],
      environment: ["SLURM_PROCID": "1", "SLURM_NTASKS": "3"])
    #expect(plain.status == 0 && plain.error.isEmpty)
    #expect(try contents("plain") == one.filter { $0.key.hasSuffix(".png") })
    let lines = String(decoding: try #require(one["all.jsonl"]), as: UTF8.self).split(
      separator: "\n")
    let last = try JSONDecoder().decode(Manifest.Line.self, from: Data(lines[7].utf8))
    #expect(last.index == 7 && last.of == 8 && last.file == "0008-a-rocket.png" && last.seed == 12)

    try resumes(three)
    try refuses()
  }

  /// A process that ended early is run again: its images and its manifest come to be the same.
  private func resumes(_ whole: [String: Data]) throws {
    let manifest = "three/manifest-0-of-3.jsonl"
    try FileManager.default.removeItem(atPath: "\(folder.path)/three/0004-a-fox.png")
    let bytes = try #require(whole["manifest-0-of-3.jsonl"])
    // Killed while it wrote a line.
    _ = try folder.write(Array(bytes.dropLast(20)), as: manifest)
    #expect(try runner.run(["merge", "three"]).status == 65)
    let again = try share(0, of: 3, "three")
    #expect(again.output.contains("2 were there already"), "\(again.output)")
    #expect(
      try runner.run(["merge", "three"]).output
        == String(decoding: whole["all.jsonl"] ?? Data(), as: UTF8.self))
    // Once more, and there is nothing to do; a share beyond the images is empty.
    #expect(try share(0, of: 3, "three").output.contains("all 3 images were there already"))
    let beyond = try share(9, of: 10, "three")
    #expect(beyond.status == 0 && beyond.output == "none of 8 images is of rank 9 of 10\n")
    // Two numbers of processes in a folder must be told apart.
    #expect(try runner.run(["merge", "three"]).error.contains("different numbers of processes"))
  }

  private func refuses() throws {
    let other = try runner.run(
      [
        "generate", "a fox", "a rocket", "--count", "4", "--seed", "6", "--rank", "0", "--world",
        "3", "--output", "one",
      ])
    #expect(other.status == 73 && other.error.contains("has the name of this run's image 1"))
    for (arguments, words) in [
      (["--distributed"], "no launcher says which process this is"),
      (["--rank", "3", "--world", "3"], "there is no rank 3 of 3"),
      (["--rank", "1"], "--rank 1 needs --world"),
      (["--world", "3"], "--world needs --rank"),
      (["--rank", "1", "--world", "3", "--distributed"], "choose one"),
      (["--rank", "0", "--world", "2", "--output", "-"], "--output must be a folder"),
      (["--rank", "0", "--world", "2", "--contact-sheet", "a.png"], "no process has all images"),
    ] {
      let outcome = try runner.run(["generate", "a fox", "--seed", "1"] + arguments)
      #expect(outcome.status == 64, "\(outcome.error)")
      #expect(outcome.error.contains(words), "\(outcome.error)")
    }
    let random = try runner.run(["generate", "a fox", "--rank", "0", "--world", "2"])
    #expect(random.status == 64 && random.error.contains("need the same --seed"))
  }
}

/// Manifests of processes as one.
@Suite struct MergedManifestTests {
  private func file(_ name: String, _ indices: [Int], of count: Int = 4) throws -> (
    name: String, contents: Data
  ) {
    let lines = try indices.map { index in
      try Manifest.bytes(
        Manifest.Line(
          index: index, of: count, file: "\(index).png", prompt: "a fox", seed: 1, sha256: "00"))
    }
    return (name, Data(lines.joined()))
  }

  @Test("Lines are joined in the order of the images")
  func order() throws {
    let merged = try MergedManifest([file("b", [3, 1]), file("a", [2, 0])])
    #expect(merged.lines.map(\.index) == [0, 1, 2, 3])
  }

  @Test("Gaps, duplicates and other runs are refused by their names")
  func refusals() throws {
    for (files, words) in [
      ([try file("a", [0, 2])], "2 of 4 images are missing: 1, 3"),
      (
        [try file("a", [0, 1]), try file("b", [1, 2, 3])],
        "image 1 is named twice, in 'a' and in 'b'"
      ),
      (
        [try file("a", [0, 1]), try file("b", [2], of: 5)],
        "'a' belongs to a run of 4 images and 'b' to one of 5"
      ),
      ([try file("a", [4])], "names image 4 of 4"),
      ([(name: "a", contents: Data("{}\n".utf8))], "'a', line 1 is not a line of a manifest"),
      ([(name: "a", contents: Data())], "name no image"),
    ] {
      let error = try #require(throws: CommandFailure.self) { try MergedManifest(files) }
      #expect(error.description.contains(words), "\(error)")
    }
  }

  @Test("A launcher's process that makes all images gets a warning")
  func hint() {
    #expect(
      DistributionOptions.hint(in: ["SLURM_PROCID": "1", "SLURM_NTASKS": "3"])?
        .contains("process 1 of 3") == true)
    for environment in [
      [:], ["SLURM_PROCID": "0", "SLURM_NTASKS": "1"], ["SLURM_NTASKS": "3"], ["RANK": "x"],
    ] {
      #expect(DistributionOptions.hint(in: environment) == nil)
    }
  }
}
