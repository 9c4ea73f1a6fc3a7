internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// The error of every solver by its number of evaluations, on flows whose ends are known and on a
/// model's images.
struct SolverStudy {
  /// A solver with a number of steps.
  struct Point: Codable {
    let solver: String
    let steps: Int
    let evaluations: Int
    let error: Double
  }

  /// The errors of solvers on one flow.
  struct Part: Codable {
    let name: String
    /// What the error is.
    let measure: String
    let points: [Point]
  }

  static let evaluationCounts = [1, 2, 4, 8, 16, 32, 64]

  /// The points of a solver: for each number of evaluations, the most steps that it takes.
  private static func plans(
    _ solver: Solver, atMost most: Int
  ) throws -> [(steps: Int, plan: StepPlan)] {
    var plans: [(steps: Int, plan: StepPlan)] = []
    for count in evaluationCounts where count <= most {
      let steps = (1...4 * count).last { solver.rowCount(stepCount: $0) <= count }
      guard let steps, steps != plans.last?.steps else { continue }
      plans.append((steps, try RectifiedFlowSchedule().plan(stepCount: steps, solver: solver)))
    }
    return plans
  }

  // MARK: - Known flows

  /// The errors on a known flow: of each end for solvers that draw no noise, and of the distribution
  /// of the ends for all others.
  static func parts(of flow: KnownFlow) throws -> [Part] {
    let solvers = Dictionary(grouping: Solver.allCases, by: \.isStochastic)
    let few = Paths(of: flow, count: 255)
    let ends = try (solvers[false] ?? []).flatMap { solver in
      try plans(solver, atMost: 64).map { steps, plan in
        point(solver, steps, plan, of: flow, few, isSorted: false)
      }
    }
    let many = Paths(of: flow, count: 4096)
    let distributions = try ([.euler] + (solvers[true] ?? [])).flatMap { solver in
      try plans(solver, atMost: 64).map { steps, plan in
        point(solver, steps, plan, of: flow, many, isSorted: true)
      }
    }
    return [
      Part(
        name: "\(flow.name), without fresh noise",
        measure: "root mean square error of the end of a trajectory", points: ends),
      Part(
        name: "\(flow.name), with fresh noise",
        measure: "root mean square distance of the quantiles of 4096 ends; sampling alone gives "
          + "about 0.01",
        points: distributions),
    ]
  }

  /// Evenly spaced quantiles of the noise, and the data at which the flow ends from each.
  private struct Paths {
    let starts: [Double]
    let ends: [Double]

    init(of flow: KnownFlow, count: Int) {
      starts = KnownFlow.quantiles(count)
      ends = starts.map(flow.end(from:))
    }
  }

  private static func point(
    _ solver: Solver, _ steps: Int, _ plan: StepPlan, of flow: KnownFlow, _ paths: Paths,
    isSorted: Bool
  ) -> Point {
    var generator = NormalNumbers(seed: 1)
    var ends = paths.starts.map { flow.end(of: plan, from: $0, &generator) }
    if isSorted { ends.sort() }
    let squares = zip(ends, paths.ends).reduce(0.0) { sum, pair in
      let difference = pair.0 - pair.1
      return sum + difference * difference
    }
    return Point(
      solver: solver.rawValue, steps: steps, evaluations: plan.rows.count,
      error: (squares / Double(ends.count)).squareRoot())
  }

  // MARK: - A model

  /// The errors of a model's images against the midpoint solver with 64 steps.
  ///
  /// - Parameters:
  ///   - checkpoint: a flow model.
  ///   - prompts: the prompts; the seeds count from 0.
  ///   - engines: the engines.
  ///   - progress: called with a line before each solver.
  static func part(
    of checkpoint: Checkpoint, prompts: [String], engines: EngineStore,
    progress: (String) -> Void
  ) async throws -> Part {
    let generator = try Generator(checkpoint: checkpoint, engines: engines)
    func images(_ solver: Solver, steps: Int) async throws -> [PixelImage] {
      let requests = prompts.enumerated().map { index, prompt in
        var request = checkpoint.request(prompt)
        (request.seed, request.solver, request.stepCount) = (UInt64(index), solver, steps)
        (request.guidance, request.spacing) = (.none, .uniform)
        return request
      }
      var images: [(Int, PixelImage)] = []
      for try await image in try await generator.images(for: requests) {
        images.append((image.index, image.image))
      }
      return images.sorted { $0.0 < $1.0 }.map(\.1)
    }
    progress("reference")
    let reference = try await images(.midpoint, steps: 64)
    var points: [Point] = []
    for solver in Solver.allCases where !solver.isStochastic {
      progress(solver.rawValue)
      for (steps, plan) in try plans(solver, atMost: 32) {
        let errors = zip(try await images(solver, steps: steps), reference)
          .map { ImageDifference($0, $1).squaredError }
        let mean = errors.reduce(0, +) / Double(errors.count)
        points.append(
          Point(
            solver: solver.rawValue, steps: steps, evaluations: plan.rows.count,
            error: mean.squareRoot()))
      }
    }
    return Part(
      name: "images of \(checkpoint.name)",
      measure: "root mean square error in units of 1/255, against midpoint with 64 steps",
      points: points)
  }
}

extension SolverStudy.Part {
  /// The solvers in order, each with its errors by the number of evaluations.
  private var rows: [(solver: String, errors: [Double?])] {
    var names: [String] = []
    for point in points where !names.contains(point.solver) { names.append(point.solver) }
    return names.map { name in
      let own = points.filter { $0.solver == name }
      // Solvers that take an odd number of evaluations are shown at the next larger number.
      let errors = SolverStudy.evaluationCounts.enumerated().map { index, count -> Double? in
        let below = index > 0 ? SolverStudy.evaluationCounts[index - 1] : 0
        return own.last { $0.evaluations > below && $0.evaluations <= count }?.error
      }
      return (name, errors)
    }
  }

  /// A table: solvers by numbers of evaluations.
  var table: String {
    "## \(name)\n\nThe \(measure), by evaluations:\n\n"
      + BenchmarkTable(
        header: ["solver"] + SolverStudy.evaluationCounts.map(String.init),
        rows: rows.map { row in
          [row.solver] + row.errors.map { $0.map { String(format: "%.2g", $0) } ?? "" }
        }
      ).text
  }

  /// A chart: a line for each solver.
  var chart: String {
    BenchmarkChart.lines(
      title: "Error over evaluations: \(name)", unit: measure,
      places: SolverStudy.evaluationCounts.map(String.init),
      rows.map { (label: $0.solver, values: $0.errors) })
  }
}
