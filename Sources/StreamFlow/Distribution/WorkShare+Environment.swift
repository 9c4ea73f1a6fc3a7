public import FlowModels

extension WorkShare {
  /// A launcher of many processes, and the variables in which it states a process's rank.
  private struct Launcher {
    let name: String
    let rank: String
    /// The variable with the number of processes; nil if the launcher sets none.
    let world: String?
  }

  /// In order of precedence: variables of an inner launcher come first.
  private static let launchers = [
    Launcher(name: "torchrun", rank: "RANK", world: "WORLD_SIZE"),
    Launcher(name: "Open MPI", rank: "OMPI_COMM_WORLD_RANK", world: "OMPI_COMM_WORLD_SIZE"),
    Launcher(name: "MPI", rank: "PMI_RANK", world: "PMI_SIZE"),
    Launcher(name: "Slurm", rank: "SLURM_PROCID", world: "SLURM_NTASKS"),
    Launcher(name: "Kubernetes", rank: "JOB_COMPLETION_INDEX", world: nil),
  ]

  /// The share that a launcher's environment states: `RANK` and `WORLD_SIZE` (torchrun),
  /// `OMPI_COMM_WORLD_RANK` and `_SIZE` (Open MPI), `PMI_RANK` and `PMI_SIZE` (MPICH and others),
  /// `SLURM_PROCID` and `SLURM_NTASKS`, or `JOB_COMPLETION_INDEX` (Kubernetes Indexed Job).
  ///
  /// The first launcher that is found counts. A shell inside an allocation may have some of these
  /// variables, so a program should read them only if its user asks for it.
  ///
  /// - Parameters:
  ///   - environment: the environment of the process.
  ///   - world: the number of processes, which Kubernetes does not state; must equal the launcher's
  ///     own number if it states one.
  /// - Throws: `requestInvalid` if no variable is set, only half of a pair, or one that is not a
  ///   number.
  public init(environment: [String: String], world: Int? = nil) throws(ModelError) {
    for launcher in Self.launchers {
      let rankText = environment[launcher.rank]
      let worldText = launcher.world.flatMap { environment[$0] }
      // Half a pair of names as common as RANK and WORLD_SIZE may belong to another program.
      // Skipping it, however, could make every process do the whole work.
      guard rankText != nil || worldText != nil else { continue }
      guard let rankText else {
        throw Self.invalid(
          "\(launcher.world ?? "") is set and \(launcher.rank) is not; \(launcher.name) sets both")
      }
      let rank = try Self.number(rankText, of: launcher.rank)
      let said = try launcher.world.flatMap { name throws(ModelError) in
        try worldText.map { text throws(ModelError) in try Self.number(text, of: name) }
      }
      if let said, let world, said != world {
        throw Self.invalid(
          "\(launcher.world ?? "") says \(said) processes, and \(world) were asked for")
      }
      guard let count = said ?? world else {
        throw Self.invalid(
          launcher.world.map {
            "\(launcher.rank) is set and \($0) is not; \(launcher.name) sets both"
          } ?? "\(launcher.rank) says which process this is, and nothing how many there are; give "
            + "the job's completions")
      }
      let names = ([launcher.rank] + [launcher.world].compactMap(\.self)).joined(separator: ", ")
      try self.init(rank: rank, world: count, source: " (\(names))")
      return
    }
    let pairs = Self.launchers.map {
      [$0.rank, $0.world].compactMap(\.self).joined(separator: " and ")
    }
    throw Self.invalid(
      "no launcher says which process this is: none of \(pairs.joined(separator: "; ")) is set; "
        + "give the rank and the number of processes")
  }

  private static func number(_ text: String, of name: String) throws(ModelError) -> Int {
    guard let number = Int(text), number >= 0 else {
      throw invalid("\(name) must be a whole number from 0 on, got '\(text)'")
    }
    return number
  }

  private static func invalid(_ message: String) -> ModelError {
    ModelError(code: .requestInvalid, message: message, settings: [.share])
  }
}
