import FlowNATS
import FlowTestSupport
import Foundation
import Testing

@testable import FlowCluster
@testable import FlowServer

/// Which workers hear of a job, around a real server of NATS; the images are names.
@Suite(.tags(.process)) struct FleetOfferTests {
  @Test(
    "Jobs of a model are offered only to workers that have it",
    .timeLimit(.minutes(1)))
  func models() async throws {
    let fleet = try await TestFleet()
    for number in 0..<6 { try await fleet.add("idle-\(number)", capacity: 1) }
    let other = FakeModels("other")
    try await fleet.add("two", other, capacity: 2)
    while fleet.gateway.fleet.modelNames.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
    // Offers to the others would take seconds each.
    for number in 0..<40 {
      let made = try await fleet.make(
        TestFleet.order(#"{"prompt": "fox", "seed": \#(number), "model": "other"}"#))
      #expect(made.files == [0: "fox \(number)"])
    }
    #expect(other.begun.count == 40 && fleet.models.begun.isEmpty)
    await fleet.stop()
  }

  @Test("A job that a worker left behind goes to one that is busy with others")
  func leftBehind() async throws {
    let fleet = try await TestFleet()
    try await fleet.add()
    await fleet.stopWorkers()
    // A worker that takes a job and never says anything again.
    let puller = try Puller(fleet.gateway.layout.stream)
    async let left = fleet.make(
      TestFleet.order(#"{"prompt": "left", "seed": 1}"#, urgency: .background))
    let lane = Lane(.bulk, model: "fake", client: "me")
    while try await puller.next(of: lane.consumer, in: ClusterNames.jobs) == nil {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(Lane(.bulk, model: "fake", client: "another") != lane)
    fleet.models.change { $0.time = .milliseconds(30) }
    try await fleet.add("one", capacity: 1)
    async let many = fleet.make(
      TestFleet.order(
        #"{"prompts": ["a", "b"], "n": 100, "seed": 1}"#, client: "another", urgency: .background))
    #expect(try await left.files == [0: "left 1"])
    // Long before the job of 200 images had ended.
    #expect(fleet.models.begun.count < 200)
    #expect(try await many.files.count == 200)
    await fleet.stop()
  }

  @Test("A worker that waits looks for jobs when it is offered one, and sleeps otherwise")
  func sleeping() async throws {
    let fleet = try await TestFleet()
    try await fleet.add()
    await fleet.stopWorkers()
    let layout = fleet.gateway.layout
    let queue = try JobQueue(fleet.gateway.connection, layout.stream, models: ["fake"])
    let waiting = Task {
      if let delivery = await queue.next() { return delivery.count }
      return 0
    }
    while queue.lookCount < 2 { try await Task.sleep(for: .milliseconds(5)) }
    try await Task.sleep(for: .milliseconds(100))
    for _ in 0..<5 {
      fleet.gateway.calls.offer(Lane(.bulk, model: "fake", client: "me"))
      try await Task.sleep(for: .milliseconds(50))
    }
    try await Task.sleep(for: .milliseconds(500))
    // Twice at first, and twice for each offer.
    #expect((4...14).contains(queue.lookCount), "\(queue.lookCount)")
    queue.close()
    #expect(await waiting.value == 0)
    await fleet.stop()
  }
}
