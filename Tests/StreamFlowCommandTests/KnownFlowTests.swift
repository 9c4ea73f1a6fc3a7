import FlowCore
import Testing

@testable import StreamFlowCommand

/// The flows with known ends that the benchmark of solvers follows.
@Suite struct KnownFlowTests {
  private func errors(_ solver: Solver, _ flow: KnownFlow, steps: [Int]) throws -> [Double] {
    try steps.map { count in
      let plan = try RectifiedFlowSchedule().plan(stepCount: count, solver: solver)
      var generator = NormalNumbers(seed: 1)
      let squares = KnownFlow.quantiles(33).map { noise in
        let difference = flow.end(of: plan, from: noise, &generator) - flow.end(from: noise)
        return difference * difference
      }
      return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
  }

  @Test("A normal distribution's end is its mean and deviation times the noise")
  func normal() {
    for noise in [-2.5, -1, 0, 0.3, 2] {
      #expect(abs(KnownFlow.all[0].end(from: noise) - (1 + 0.5 * noise)) < 1e-9)
    }
  }

  @Test("Halving the steps divides the error of second-order solvers by 4 or more, Euler's by 2")
  func orders() throws {
    for flow in KnownFlow.all {
      let euler = try errors(.euler, flow, steps: [128, 256])
      #expect((1.8...2.2).contains(euler[0] / euler[1]))
      for solver in [Solver.heun, .midpoint, .adamsBashforth2, .fireFlow] {
        let errors = try errors(solver, flow, steps: [128, 256])
        // One order more where the flow's second derivative cancels.
        #expect(errors[0] / errors[1] > 3, "\(solver.rawValue): \(errors)")
      }
    }
  }

  @Test("Normal numbers have mean 0 and variance 1")
  func normalNumbers() {
    var generator = NormalNumbers(seed: 3)
    let values = (0..<20000).map { _ in generator.next() }
    let mean = values.reduce(0, +) / 20000
    let variance = values.reduce(0) { $0 + $1 * $1 } / 20000 - mean * mean
    // Four standard deviations of the estimates: 1/sqrt(n) and sqrt(2/n).
    #expect(abs(mean) < 0.029 && abs(variance - 1) < 0.04)
  }
}
