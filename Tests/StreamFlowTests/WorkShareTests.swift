import FlowModels
import StreamFlow
import Testing

/// Which part of a run a process makes.
@Suite struct WorkShareTests {
  @Test("Every index is of exactly one share", arguments: [1, 2, 3, 7, 12])
  func partition(world: Int) throws {
    let shares = try (0..<world).map { try WorkShare(rank: $0, world: world) }
    let all = shares.flatMap { Array($0.indices(below: 10)) }
    #expect(all.sorted() == Array(0..<10))
    for index in 0..<10 { #expect(shares.count { $0.contains(index) } == 1) }
    #expect(Array(WorkShare.whole.indices(below: 4)) == [0, 1, 2, 3])
  }

  @Test(
    "Each launcher's variables are read",
    arguments: [
      ("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
      ("PMI_RANK", "PMI_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"),
    ])
  func launchers(rank: String, world: String) throws {
    let share = try WorkShare(environment: [rank: "2", world: "5", "HOME": "/"])
    #expect(try share == WorkShare(rank: 2, world: 5))
    // The same number said twice is no contradiction.
    #expect(try WorkShare(environment: [rank: "2", world: "5"], world: 5) == share)
    for (environment, words) in [
      ([rank: "2", world: "2"], "no rank 2 of 2 (\(rank), \(world))"),
      ([rank: "0", world: "0"], "no rank 0 of 0"),
      ([rank: "-1", world: "5"], "\(rank) must be a whole number from 0 on, got '-1'"),
      ([rank: "2", world: "five"], "\(world) must be a whole number from 0 on, got 'five'"),
      ([rank: "", world: "5"], "\(rank) must be"),
      ([rank: "2"], "\(rank) is set and \(world) is not"),
      ([world: "5"], "\(world) is set and \(rank) is not"),
    ] {
      let error = try #require(throws: ModelError.self) { try WorkShare(environment: environment) }
      #expect(error.code == .requestInvalid && error.message.contains(words), "\(error)")
      #expect(error.settings == [.share])
    }
    let other = try #require(throws: ModelError.self) {
      try WorkShare(environment: [rank: "2", world: "5"], world: 4)
    }
    #expect(other.message.contains("\(world) says 5 processes, and 4 were asked for"))
  }

  @Test("Kubernetes says the index, and the user the completions")
  func kubernetes() throws {
    let environment = ["JOB_COMPLETION_INDEX": "3"]
    #expect(try WorkShare(environment: environment, world: 4) == WorkShare(rank: 3, world: 4))
    let error = try #require(throws: ModelError.self) { try WorkShare(environment: environment) }
    #expect(error.message.contains("give the job's completions"))
    #expect(throws: ModelError.self) { try WorkShare(environment: environment, world: 3) }
  }

  @Test("A launcher inside a Slurm allocation counts, not the allocation's shell")
  func order() throws {
    let slurm = ["SLURM_PROCID": "0", "SLURM_NTASKS": "8"]
    let mpi = ["OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"]
    let torchrun = ["RANK": "1", "WORLD_SIZE": "2"]
    #expect(
      try WorkShare(environment: slurm.merging(mpi) { $1 }) == WorkShare(rank: 3, world: 4))
    #expect(
      try WorkShare(environment: slurm.merging(mpi) { $1 }.merging(torchrun) { $1 })
        == WorkShare(rank: 1, world: 2))
  }

  @Test("No launcher is an error that names what was looked for")
  func none() throws {
    let error = try #require(throws: ModelError.self) { try WorkShare(environment: ["HOME": "/"]) }
    #expect(error.message.contains("RANK and WORLD_SIZE; OMPI_COMM_WORLD_RANK and"))
    #expect(error.message.contains("JOB_COMPLETION_INDEX is set"))
  }
}
