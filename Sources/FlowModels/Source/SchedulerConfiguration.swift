package import FlowCore

/// The sampling schedule in `scheduler/scheduler_config.json`.
package struct SchedulerConfiguration: Sendable {
  /// The scheduler's class.
  let className: String
  /// The file.
  let path: String
  private let flowMatching: FlowMatchingSchedule
  private let dynamicShift: DynamicTimeShift?
  private let consistency: ConsistencySchedule
  private let diffusion: DiffusionSchedule

  init(_ file: ConfigurationFile) throws(ModelError) {
    className = try file.text("_class_name") ?? "unnamed"
    path = file.path
    (flowMatching, dynamicShift) = try Self.flowMatching(file, className: className)
    (consistency, diffusion) = try Self.diffusion(file, className: className)
  }

  /// For a single-file model, which has no such file.
  init(ofModelAt path: String) {
    self.path = path
    className = Self.absent
    flowMatching = FlowMatchingSchedule()
    dynamicShift = nil
    consistency = ConsistencySchedule()
    diffusion = DiffusionSchedule()
  }

  /// A description of the scheduler, if it is not a flow's.
  var words: String {
    className == Self.absent
      ? "has no scheduler" : "names \(className), which is no schedule of a flow"
  }

  private static let absent = "none"

  /// Whether timesteps are laid out from the last.
  var isTrailing: Bool { diffusion.spacing == .trailing && className.hasPrefix("Euler") }

  private static func flowMatching(
    _ file: ConfigurationFile, className: String
  ) throws(ModelError) -> (FlowMatchingSchedule, DynamicTimeShift?) {
    var schedule = FlowMatchingSchedule()
    guard className == "FlowMatchEulerDiscreteScheduler" else { return (schedule, nil) }
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
    guard try file.bool("use_dynamic_shifting", default: false) else { return (schedule, nil) }
    var dynamic = DynamicTimeShift()
    dynamic.baseShift = try file.number("base_shift", default: 0.5)
    dynamic.maximumShift = try file.number("max_shift", default: 1.15)
    dynamic.baseLength = try file.number("base_image_seq_len", default: 256)
    dynamic.maximumLength = try file.number("max_image_seq_len", default: 4096)
    try file.require("time_shift_type", isOneOf: [.text("exponential"), .text("linear")])
    if try file.text("time_shift_type") == "linear" { dynamic.kind = .linear }
    return (schedule, dynamic)
  }

  /// The options of diffusion schedules.
  ///
  /// Other schedulers' files have the same keys, for a user who chooses such a schedule.
  private static func diffusion(
    _ file: ConfigurationFile, className: String
  ) throws(ModelError) -> (ConsistencySchedule, DiffusionSchedule) {
    var consistency = ConsistencySchedule()
    var diffusion = DiffusionSchedule()
    guard className != "FlowMatchEulerDiscreteScheduler" else { return (consistency, diffusion) }
    var betas = BetaSchedule()
    betas.start = try file.number("beta_start", default: 0.00085)
    betas.end = try file.number("beta_end", default: 0.012)
    betas.count = try file.integer("num_train_timesteps", default: 1000, in: 2...100_000)
    guard 0 < betas.start, betas.start <= betas.end, betas.end < 1 else {
      throw file.unsupported("beta_end", expected: "beta_start to 1, beta_start above 0")
    }
    betas.kind = try file.choice("beta_schedule", default: .scaledLinear)
    let prediction = try file.choice("prediction_type", default: DiffusionPrediction.epsilon)
    try file.require("trained_betas", isOneOf: [])
    let isOurs = ["LCMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"]
      .contains(className)
    if isOurs {
      betas.endsInNoise = try file.bool("rescale_betas_zero_snr", default: false)
      for key in [
        "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "thresholding",
        "clip_sample",
      ] { try file.require(key, isOneOf: [.bool(false)]) }
      try file.require("interpolation_type", isOneOf: [.text("linear")])
      try file.require("timestep_type", isOneOf: [.text("discrete")])
      try file.require("final_sigmas_type", isOneOf: [.text("zero")])
      diffusion.spacing = try file.choice(
        "timestep_spacing",
        default: className == "LCMScheduler" ? .leading : .linspace)
      diffusion.stepsOffset = try file.integer("steps_offset", default: 0, in: 0...1000)
    }
    // One of its steps is one of Euler's from the last timestep.
    diffusion.endsAtFirstTimestep =
      className == "DEISMultistepScheduler" && file["timestep_spacing"] != .text("leading")
    (consistency.betas, consistency.prediction) = (betas, prediction)
    (diffusion.betas, diffusion.prediction) = (betas, prediction)
    guard className == "LCMScheduler" else { return (consistency, diffusion) }
    consistency.originalStepCount = try file.integer(
      "original_inference_steps", default: 50, in: 1...betas.count)
    consistency.timestepScaling = try file.number("timestep_scaling", default: 10)
    return (consistency, diffusion)
  }

  /// The schedule for one size.
  ///
  /// - Parameters:
  ///   - choice: the schedule, not automatic.
  ///   - spacing: the spacing of flow-matching times.
  ///   - imageTokenCount: the number of image tokens, by which times may be shifted.
  ///   - shift: the shift of a family that has its own.
  package func schedule(
    _ choice: ScheduleChoice, spacing: FlowMatchingSchedule.Spacing, imageTokenCount: Int,
    shift: TimeShift?
  ) -> any Schedule {
    switch choice {
    case .rectified: return RectifiedFlowSchedule()
    case .piecewise(let schedule): return schedule
    case .consistency: return consistency
    case .diffusion(let isAncestral):
      var schedule = diffusion
      schedule.isAncestral = isAncestral
      return schedule
    case .automatic, .flowMatching:
      var schedule = flowMatching
      schedule.spacing = spacing
      schedule.dynamicShift = shift ?? dynamicShift?.shift(imageSequenceLength: imageTokenCount)
      return schedule
    }
  }
}
