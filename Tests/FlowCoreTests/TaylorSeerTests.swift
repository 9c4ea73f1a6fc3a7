import FlowTestSupport
import Testing

@testable import FlowCore

@Suite struct TaylorSeerTests {
  @Test("28 steps become 14 rows, which give what extrapolating step by step gives")
  func folded() throws {
    var schedule = FlowMatchingSchedule()
    schedule.shift = 3
    let sigmas = try schedule.grid(stepCount: 28).sigmas
    let evaluated: Set = [0, 1, 2, 3, 4, 5, 8, 11, 14, 17, 20, 23, 26, 27]
    func velocity(_ x: Double, _ sigma: Double) -> Double { 0.8 * x + sigma * sigma }
    var x = 0.3
    var (output, previous, last, gap) = (0.0, 0.0, 0, 0)
    for step in 0..<28 {
      if evaluated.contains(step) {
        (previous, gap, last) = (output, step - last, step)
        output = velocity(x, sigmas[step])
      }
      let slope = gap > 0 ? (output - previous) / Double(gap) : 0
      x += (sigmas[step + 1] - sigmas[step]) * (output + slope * Double(step - last))
    }
    let plan = try schedule.plan(stepCount: 28, solver: .taylorSeer())
    #expect(plan.rows.count == 14 && plan.stepCount == 28)
    var (sample, memory) = (0.3, 0.0)
    for (row, step) in zip(plan.rows, evaluated.sorted()) {
      let output = velocity(sample, sigmas[step])
      sample += row.output * output + row.memory * memory
      memory = output
    }
    #expect(abs(sample - x) < 1e-14)
  }

  @Test("Plans of few steps evaluate each")
  func few() throws {
    let schedule = FlowMatchingSchedule()
    for count in 1...6 {
      let rows = try schedule.plan(stepCount: count, solver: .taylorSeer()).rows
      let euler = try schedule.plan(stepCount: count, solver: .euler).rows
      #expect(rows.map(\.output) == euler.map(\.output))
    }
  }

  @Test("Each solver takes the number of rows that it says", arguments: Solver.allCases)
  func rowCount(solver: Solver) throws {
    for stepCount in [1, 2, 5, 28] {
      let rows = try FlowMatchingSchedule().plan(stepCount: stepCount, solver: solver).rows
      #expect(rows.count == solver.rowCount(stepCount: stepCount))
    }
  }
}
