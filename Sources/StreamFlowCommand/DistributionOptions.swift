internal import ArgumentParser
internal import Foundation
internal import StreamFlow

/// This process's share of a run that a launcher started many times.
///
/// The environment is read only with `--distributed`: a shell inside a Slurm allocation has Slurm's
/// variables too, and a plain command there generates all of its images.
struct DistributionOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      """
      Generate only this process's share of the images, as set by torchrun, MPI, Slurm or a \
      Kubernetes Indexed Job (RANK, WORLD_SIZE and so on); needs --seed. Running it again \
      continues it.
      """))
  var distributed = false

  @Option(
    help: ArgumentHelp(
      "The rank of this process, from 0, if no launcher sets it; needs --world.",
      valueName: "number"))
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      "The number of processes; for a Kubernetes Indexed Job, its completions.",
      valueName: "number"))
  var world: Int?

  func validate() throws {
    if let rank {
      guard !distributed else {
        throw ValidationError(
          "--distributed takes the rank from the launcher, and --rank sets it; choose one")
      }
      guard world != nil else {
        throw ValidationError("--rank \(rank) needs --world, the number of processes")
      }
    } else if world != nil, !distributed {
      throw ValidationError("--world needs --rank, or --distributed if a launcher sets the rank")
    }
  }

  /// Whether only a share of the images is generated.
  private var isWanted: Bool { distributed || rank != nil }

  /// Refuses outputs that processes cannot share.
  func check(against output: OutputOptions) throws {
    guard isWanted else { return }
    guard case .folder = try OutputTarget(output.output, option: "--output") else {
      throw ValidationError(
        "each process writes files of its own: --output must be a folder, got '\(output.output)'")
    }
    guard output.contactSheet == nil else {
      throw ValidationError(
        "no process has all images: omit --contact-sheet with --distributed or --rank")
    }
  }

  /// The share of this process; nil for the whole run.
  ///
  /// - Parameters:
  ///   - imageCount: the number of images of all processes.
  ///   - hasRandomSeed: whether the seed is random.
  ///   - environment: the environment of the process.
  func share(
    of imageCount: Int, hasRandomSeed: Bool,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> WorkShare? {
    guard isWanted else { return nil }
    guard !hasRandomSeed else {
      throw ValidationError(
        "processes that share a run need the same --seed; each would choose another at random")
    }
    guard let rank, let world else {
      return try WorkShare(environment: environment, world: world)
    }
    return try WorkShare(rank: rank, world: world)
  }

  /// A hint if a launcher started several processes, each of which generates all images.
  static var hint: String? { hint(in: ProcessInfo.processInfo.environment) }

  static func hint(in environment: [String: String]) -> String? {
    guard let share = try? WorkShare(environment: environment), share.world > 1 else { return nil }
    return
      "this is process \(share.rank) of \(share.world) of a launcher, and generates all images; "
      + "--distributed generates its share"
  }
}
