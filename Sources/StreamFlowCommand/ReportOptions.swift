internal import ArgumentParser

/// Options of what a run prints.
struct ReportOptions: ParsableArguments {
  @Flag(help: "Print one JSON object with files, settings and times.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  @Flag(name: .customLong("no-progress"), help: "Show no progress bar.")
  var hidesProgress = false

  var style: GenerationRun.Style { json ? .json : quiet ? .quiet : .plain }
}
