extension Solver: RawRepresentable {
  /// The notation of solvers, for help and errors.
  public static let spellings =
    "euler, heun, ab2, midpoint, fireflow, noise-refresh[:rate=0.5], "
    + "stochastic-curved[:rate=0.5|ddpm], overshooting[:scale=1], "
    + "sde-stable[:step=curved|euler,scale=1,power=1], "
    + "sde-euler[:step=euler|curved,scale=1,power=1], ema[:gain=1,decay=0.9] or "
    + "taylorseer[:interval=3,first=6,last=2]"

  /// Parses the notation of the command line, HTTP and files: a name, followed, if parameters
  /// differ from the published ones, by a colon and `name=value` pairs.
  public init?(rawValue: String) {
    let parts = rawValue.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let known = Self.allCases.first(where: { $0.name == name }),
      var options = NamedOptions(parts.count == 2 ? parts[1] : nil),
      let solver = known.replacing(&options), options.areAllRead, solver.hasValidParameters
    else { return nil }
    self = solver
  }

  /// The solver's notation: its name, and the parameters that differ from the published ones.
  public var rawValue: String {
    let options: [(name: String, value: String, usual: String)] =
      switch self {
      case .euler, .heun, .adamsBashforth2, .midpoint, .fireFlow: []
      case .noiseRefresh(let rate): [("rate", "\(rate)", "0.5")]
      case .stochasticCurved(.constant(let rate)): [("rate", "\(rate)", "0.5")]
      case .stochasticCurved(.ddpm): [("rate", "ddpm", "0.5")]
      case .overshooting(let scale): [("scale", "\(scale)", "1.0")]
      case .stochastic(let equation):
        [
          ("step", equation.step.rawValue, equation.noise == .stable ? "curved" : "euler"),
          ("scale", "\(equation.scale)", "1.0"), ("power", "\(equation.power)", "1.0"),
        ]
      case .velocityAveraging(let gain, let decay):
        [("gain", "\(gain)", "1.0"), ("decay", "\(decay)", "0.9")]
      case .taylorSeer(let plan):
        [
          ("interval", "\(plan.interval)", "3"), ("first", "\(plan.first)", "6"),
          ("last", "\(plan.last)", "2"),
        ]
      }
    let written = options.filter { $0.value != $0.usual }.map { "\($0.name)=\($0.value)" }
    return written.isEmpty ? name : name + ":" + written.joined(separator: ",")
  }

  /// Its name without parameters.
  private var name: String {
    switch self {
    case .euler: "euler"
    case .heun: "heun"
    case .adamsBashforth2: "ab2"
    case .midpoint: "midpoint"
    case .fireFlow: "fireflow"
    case .noiseRefresh: "noise-refresh"
    case .stochasticCurved: "stochastic-curved"
    case .overshooting: "overshooting"
    case .stochastic(let equation): "sde-\(equation.noise.rawValue)"
    case .velocityAveraging: "ema"
    case .taylorSeer: "taylorseer"
    }
  }

  private var hasValidParameters: Bool { (try? check()) != nil }

  /// The same with the parameters that are given; nothing where one cannot be read.
  private func replacing(_ options: inout NamedOptions) -> Solver? {
    switch self {
    case .euler, .heun, .adamsBashforth2, .midpoint, .fireFlow: return self
    case .noiseRefresh(let rate):
      return options.number("rate", rate).map { .noiseRefresh(rate: $0) }
    case .stochasticCurved:
      if options.take("rate", ifIs: "ddpm") { return .stochasticCurved(rate: .ddpm) }
      return options.number("rate", 0.5).map { .stochasticCurved(rate: .constant($0)) }
    case .overshooting(let scale):
      return options.number("scale", scale).map { .overshooting(scale: $0) }
    case .stochastic(var equation):
      for step in StochasticEquation.Step.allCases
      where options.take("step", ifIs: step.rawValue) { equation.step = step }
      guard let scale = options.number("scale", 1), let power = options.number("power", 1)
      else { return nil }
      (equation.scale, equation.power) = (scale, power)
      return .stochastic(equation)
    case .velocityAveraging(let gain, let decay):
      guard let gain = options.number("gain", gain), let decay = options.number("decay", decay)
      else { return nil }
      return .velocityAveraging(gain: gain, decay: decay)
    case .taylorSeer(var plan):
      guard let interval = options.count("interval", plan.interval),
        let first = options.count("first", plan.first),
        let last = options.count("last", plan.last)
      else { return nil }
      (plan.interval, plan.first, plan.last) = (interval, first, last)
      return .taylorSeer(plan)
    }
  }
}
