public import FlowCore

/// Which schedule a trajectory follows.
public enum ScheduleChoice: Equatable, Sendable {
  /// What the checkpoint's own files say.
  case automatic
  /// Flow matching, with the options of the checkpoint's scheduler file where it has them.
  case flowMatching
  /// PeRFlow's windows.
  case piecewise(PiecewiseFlowSchedule)
  /// InstaFlow's and 2-Rectified Flow's even steps.
  case rectified
}

/// What `scheduler/scheduler_config.json` and `model_index.json` say of the way through time.
struct SchedulerConfiguration: Sendable {
  /// The scheduler's class, as the file names it.
  let className: String
  private let pipelineName: String
  private let path: String
  private let flowMatching: FlowMatchingSchedule
  private let dynamicShift: DynamicTimeShift?

  init(_ file: ConfigurationFile, pipelineName: String) throws(ModelError) {
    className = try file.text("_class_name") ?? "unnamed"
    path = file.path
    self.pipelineName = pipelineName
    var schedule = FlowMatchingSchedule()
    guard className == "FlowMatchEulerDiscreteScheduler" else {
      (flowMatching, dynamicShift) = (schedule, nil)
      return
    }
    for key in ["invert_sigmas", "use_beta_sigmas"] {
      try file.require(key, isOneOf: [.bool(false)])
    }
    schedule.trainingTimesteps = try file.integer(
      "num_train_timesteps", default: 1000, in: 1...1_000_000)
    schedule.shift = try file.number("shift", default: 1)
    guard schedule.shift > 0 else { throw file.unsupported("shift", expected: "above 0") }
    schedule.isStochastic = try file.bool("stochastic_sampling", default: false)
    if file["shift_terminal"] != nil {
      schedule.terminalSigma = try file.number("shift_terminal", default: 0)
    }
    if try file.bool("use_karras_sigmas", default: false) { schedule.respacing = .karras }
    if try file.bool("use_exponential_sigmas", default: false) { schedule.respacing = .exponential }
    flowMatching = schedule
    guard try file.bool("use_dynamic_shifting", default: false) else {
      dynamicShift = nil
      return
    }
    var dynamic = DynamicTimeShift()
    dynamic.baseShift = try file.number("base_shift", default: 0.5)
    dynamic.maximumShift = try file.number("max_shift", default: 1.15)
    dynamic.baseLength = try file.number("base_image_seq_len", default: 256)
    dynamic.maximumLength = try file.number("max_image_seq_len", default: 4096)
    try file.require("time_shift_type", isOneOf: [.text("exponential"), .text("linear")])
    if try file.text("time_shift_type") == "linear" { dynamic.kind = .linear }
    dynamicShift = dynamic
  }

  /// The schedule of one size.
  ///
  /// - Parameters:
  ///   - choice: what the user asks for.
  ///   - spacing: the layout of the times of flow matching.
  ///   - latentPlaces: height times width of the latents.
  func schedule(
    _ choice: ScheduleChoice, spacing: FlowMatchingSchedule.Spacing, latentPlaces: Int
  ) throws(ModelError) -> any Schedule {
    switch choice {
    case .rectified: return RectifiedFlowSchedule()
    case .piecewise(let schedule): return schedule
    case .automatic where pipelineName == "RectifiedFlowPipeline": return RectifiedFlowSchedule()
    case .automatic where className != "FlowMatchEulerDiscreteScheduler":
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' names \(className), which is no schedule of a flow, and nothing in the "
          + "folder says which flow it is; choose one with --schedule perflow, rectified or "
          + "flow-match")
    case .automatic, .flowMatching:
      var schedule = flowMatching
      schedule.spacing = spacing
      schedule.dynamicShift = dynamicShift?.shift(imageSequenceLength: latentPlaces / 4)
      return schedule
    }
  }
}
