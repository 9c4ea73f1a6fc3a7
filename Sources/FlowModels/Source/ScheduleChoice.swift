public import FlowCore

/// The choice of the sampling schedule.
public enum ScheduleChoice: Equatable, Sendable {
  /// Detected from the checkpoint's files, its `streamflow.json` or its name.
  case automatic
  /// Flow matching, with the options of the checkpoint's scheduler file if it has them.
  case flowMatching
  /// PeRFlow's windows.
  case piecewise(PiecewiseFlowSchedule)
  /// InstaFlow's and 2-Rectified Flow's even steps.
  case rectified
  /// Latent consistency, with the options of the checkpoint's scheduler file.
  case consistency
  /// Euler's method over a diffusion model, with the options of the checkpoint's scheduler file.
  case diffusion(isAncestral: Bool)
}

extension ScheduleChoice: LosslessStringConvertible {
  /// The notation of choices, for help and errors.
  public static let spellings =
    "flow-match, rectified, perflow[:windows=4,prediction=diff_eps], lcm, euler or euler-ancestral"

  /// Parses the notation of the command line and of `streamflow.json`.
  public init?(_ description: String) {
    let parts = description.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    switch (parts.first, parts.count) {
    case ("auto", 1): self = .automatic
    case ("flow-match", 1): self = .flowMatching
    case ("rectified", 1): self = .rectified
    case ("lcm", 1): self = .consistency
    case ("euler", 1): self = .diffusion(isAncestral: false)
    case ("euler-ancestral", 1): self = .diffusion(isAncestral: true)
    case ("perflow", _):
      guard let schedule = Self.piecewise(parts.count == 2 ? parts[1] : nil) else { return nil }
      self = .piecewise(schedule)
    default: return nil
    }
  }

  private static func piecewise(_ options: Substring?) -> PiecewiseFlowSchedule? {
    var schedule = PiecewiseFlowSchedule()
    for option in options?.split(separator: ",", omittingEmptySubsequences: false) ?? [] {
      let pair = option.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2 else { return nil }
      switch pair[0] {
      case "windows":
        guard let count = Int(pair[1]), (1...100).contains(count) else { return nil }
        schedule.windowCount = count
      case "prediction":
        // Old model cards write epsilon for the value that the code calls diff_eps.
        let name = pair[1] == "epsilon" ? "diff_eps" : pair[1]
        guard let prediction = Prediction(rawValue: name) else { return nil }
        schedule.prediction = prediction
      default: return nil
      }
    }
    return schedule
  }

  /// The choice in command-line notation.
  public var description: String {
    switch self {
    case .automatic: "auto"
    case .flowMatching: "flow-match"
    case .rectified: "rectified"
    case .consistency: "lcm"
    case .diffusion(let isAncestral): isAncestral ? "euler-ancestral" : "euler"
    case .piecewise(let schedule):
      "perflow:windows=\(schedule.windowCount),prediction=\(schedule.prediction.rawValue)"
    }
  }
}
