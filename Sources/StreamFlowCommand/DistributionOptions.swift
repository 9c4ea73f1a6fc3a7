internal import ArgumentParser
internal import Foundation
internal import StreamFlow

/// Which part of a run this process makes, where a launcher starts many.
///
/// The environment is read only where `--distributed` asks for it: a shell inside a Slurm allocation
/// has its variables too, and a plain command there makes all of its images, as anywhere.
struct DistributionOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      """
      Make only this process's share of the images, as torchrun, MPI, Slurm or a Kubernetes Indexed \
      Job say (RANK and WORLD_SIZE and their like); needs --seed. Running it again continues it.
      """))
  var distributed = false

  @Option(
    help: ArgumentHelp(
      "The number of this process, from 0, where no launcher says it; needs --world.",
      valueName: "number"))
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      "The number of processes; of a Kubernetes Indexed Job, its completions.", valueName: "number")
  )
  var world: Int?

  func validate() throws {
    if let rank {
      guard !distributed else {
        throw ValidationError(
          "--distributed takes the rank from the launcher, and --rank says it; choose one")
      }
      guard world != nil else {
        throw ValidationError("--rank \(rank) needs --world, the number of processes")
      }
    } else if world != nil, !distributed {
      throw ValidationError("--world needs --rank, or --distributed where a launcher says it")
    }
  }

  /// Whether only a part of the images is to be made.
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
        "no process has all images: --contact-sheet goes without --distributed and --rank")
    }
  }

  /// The share of this process; nil where all is to be made.
  ///
  /// - Parameters:
  ///   - imageCount: the number of images of all processes.
  ///   - hasRandomSeed: whether nobody chose the seed.
  ///   - environment: the variables of the process.
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

  /// A hint where a launcher started several processes, each of which makes all images.
  static var hint: String? { hint(in: ProcessInfo.processInfo.environment) }

  static func hint(in environment: [String: String]) -> String? {
    guard let share = try? WorkShare(environment: environment), share.world > 1 else { return nil }
    return "this is process \(share.rank) of \(share.world) of a launcher, and makes all images; "
      + "--distributed makes its share"
  }
}
