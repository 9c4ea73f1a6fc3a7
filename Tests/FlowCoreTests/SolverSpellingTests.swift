import FlowCore
import Testing

@Suite struct SolverSpellingTests {
  @Test("Each solver is written by its name, and read again")
  func names() {
    #expect(
      Solver.allCases.map(\.rawValue) == [
        "euler", "heun", "ab2", "midpoint", "fireflow", "noise-refresh", "stochastic-curved",
        "overshooting", "sde-stable", "sde-euler", "ema", "taylorseer",
      ])
    for solver in Solver.allCases { #expect(Solver(rawValue: solver.rawValue) == solver) }
    for name in Solver.allCases.map(\.rawValue) { #expect(Solver.spellings.contains(name)) }
  }

  @Test(
    "Parameters are written where they are not the published ones",
    arguments: [
      ("noise-refresh:rate=0.3", .noiseRefresh(rate: 0.3)),
      ("stochastic-curved:rate=ddpm", .stochasticCurved(rate: .ddpm)),
      ("stochastic-curved:rate=1.0", .stochasticCurved(rate: .constant(1))),
      ("overshooting:scale=2.0", .overshooting(scale: 2)),
      ("ema:gain=1.5,decay=0.8", .velocityAveraging(gain: 1.5, decay: 0.8)),
      ("sde-stable:step=euler", .stochastic(StochasticEquation(noise: .stable, step: .euler))),
      ("sde-euler:step=curved", .stochastic(StochasticEquation(noise: .euler, step: .curved))),
    ] as [(String, Solver)])
  func parameters(text: String, solver: Solver) throws {
    #expect(Solver(rawValue: text) == solver)
    #expect(solver.rawValue == text)
  }

  @Test("Published parameters, whole numbers and any order are read")
  func usual() throws {
    #expect(Solver(rawValue: "noise-refresh:rate=0.5") == .noiseRefresh())
    #expect(Solver(rawValue: "ema:decay=0.9,gain=1") == .velocityAveraging())
    let seer = try #require(Solver(rawValue: "taylorseer:last=1,interval=2"))
    #expect(seer.rawValue == "taylorseer:interval=2,last=1")
    let equation = try #require(Solver(rawValue: "sde-euler:power=0.5,scale=2"))
    #expect(equation.rawValue == "sde-euler:scale=2.0,power=0.5")
  }

  @Test(
    "An unknown solver is rejected",
    arguments: [
      "", ":", "Euler", "dpm", "euler:", "euler:rate=1", "noise-refresh:", "noise-refresh:rate",
      "noise-refresh:rate=", "noise-refresh:rate=2", "noise-refresh:rate=-0.1",
      "noise-refresh:rate=nan", "noise-refresh:rate=ddpm", "noise-refresh:rate=0.1,rate=0.2",
      "noise-refresh:rate=0.1,", "stochastic-curved:rate=inf", "overshooting:scale=-1",
      "ema:decay=1.1", "ema:gain=inf", "sde-stable:step=heun", "sde-euler:power=nan",
      "taylorseer:interval=0", "taylorseer:first=0", "taylorseer:last=-1", "taylorseer:last=1.5",
    ])
  func refused(text: String) { #expect(Solver(rawValue: text) == nil) }

  @Test("Parameters out of range make no plan, and a schedule that cannot use a solver says so")
  func plans() {
    let error = #expect(throws: PlanError.self) {
      try FlowMatchingSchedule().plan(stepCount: 4, solver: .noiseRefresh(rate: 2))
    }
    #expect(error?.code == .solverUnsupported)
    for solver in Solver.allCases where solver != .euler {
      let error = #expect(throws: PlanError.self) {
        try ConsistencySchedule().plan(stepCount: 4, solver: solver)
      }
      #expect(
        error?.message
          == "the consistency schedule steps with euler only, got \(solver.rawValue)")
    }
  }
}
