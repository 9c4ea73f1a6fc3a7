import Testing

@testable import StreamFlowCommand

/// Errors of settings files: each one line.
@Suite struct ConfigFileErrorTests {
  private let files: ConfigTranslation

  init() throws { files = try ConfigTranslation() }

  @Test(
    "An error names the file, the line, the key, what is expected and what it got",
    arguments: [
      (
        "seed: [",
        "65 'run.yaml', line 2, column 1: not YAML: while parsing a flow node, did not find "
      ),
      (
        "- a fox",
        "65 'run.yaml', line 1: the file must be a mapping of names to values, got a list"
      ),
      ("steps: 4\nsteps: 5", "65 'run.yaml', line 1, column 1: 'steps' must be set once, got it"),
      (
        "cfg: 4\nguidance_scale: 5",
        "65 'run.yaml', line 2: 'guidance_scale' must be set once, got it in line 1 as 'cfg' too"
      ),
      ("prompts: a\nprompts: b", "65 'run.yaml', line 1, column 1: 'prompts' must be set once"),
      ("stesp: 4", "65 'run.yaml', line 1: generate has no setting 'stesp'; did you mean 'steps'?"),
      (
        "strength: 1",
        "65 'run.yaml', line 1: generate has no setting 'strength'; it is a setting of edit, video"
      ),
      (
        "batch-size: 8\nstages: 4",
        "65 'run.yaml', line 2: 'stages' must be set once, got it in line 1 as 'batch-size' too"
      ),
      ("fp16: true", "65 'run.yaml', line 1: generate has no setting 'fp16'; use --precision f16"),
      ("config: a", "65 'run.yaml', line 1: generate has no setting 'config'; "),
      ("xyzzy: a", "65 'run.yaml', line 1: generate has no setting 'xyzzy'; see 'streamflow "),
      ("steps: [4]", "65 'run.yaml', line 1: 'steps' must be a single value, got a list of 1"),
      (
        "lora:\n  a: 1",
        "65 'run.yaml', line 2: 'lora' must be a value or a list of values, got a mapping"
      ),
      (
        "steps: 4: 5",
        "65 'run.yaml', line 1, column 9: not YAML: mapping values are not allowed in this context"
      ),
      ("resume: 1", "65 'run.yaml', line 1: 'resume' must be true or false, got '1'"),
      (
        "runs: [a]",
        "65 'run.yaml', line 1: 'runs' must be a mapping of names to values, got a list"
      ),
      (
        "runs: {a: 1}",
        "65 'run.yaml', line 1: run 'a' must be a mapping of names to values, got '1'"
      ),
      (
        "runs: {}", "65 'run.yaml', line 1: 'runs' must be a mapping of names to settings, got none"
      ),
      (
        "runs: {../a: }", "65 'run.yaml', line 1: the name of a run must be a file name, got '../a'"
      ),
      (
        "runs:\n  a: {output: x}\n  b: {output: x}",
        "65 'run.yaml', line 3: 'output' of run 'b' must differ from that of run 'a', got 'x' twice"
      ),
    ])
  func errors(text: String, message: String) {
    let found = files.failure("generate x --config f", text)
    #expect(found.hasPrefix(message) && !found.contains("\n"), "\(found)")
  }

  @Test("An unknown run is an error of usage that names the runs")
  func unknownRuns() {
    #expect(
      files.failure("generate --config f --run plian", ConfigTranslation.several)
        == "64 --run: 'run.yaml' has no run 'plian'; did you mean 'plain'?")
    #expect(
      files.failure("generate --config f --run x", ConfigTranslation.several)
        == "64 --run: 'run.yaml' has no run 'x'; it has plain, fine, empty")
    #expect(
      files.failure("generate --config f --run x", "steps: 4")
        == "64 --run: 'run.yaml' must have a run 'x', got settings without 'runs'")
  }
}
