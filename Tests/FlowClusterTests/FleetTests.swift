import FlowCore
import FlowNATS
import FlowTestSupport
import Foundation
import HTTPTypes
import Testing

@testable import FlowCluster
@testable import FlowServer

/// A gateway and workers around a real server of NATS; the images are names.
@Suite(.tags(.process)) struct FleetTests {
  @Test("Images of an order come from all workers, with their seeds, and leave nothing behind")
  func images() async throws {
    let fleet = try await TestFleet()
    let other = FakeModels()
    try await fleet.add("one")
    try await fleet.add("two", other)
    fleet.models.change { $0.time = .milliseconds(20) }
    other.change { $0.time = .milliseconds(20) }
    let outcome = try await fleet.make(
      TestFleet.order(#"{"prompts": ["fox", "cat"], "n": 6, "seed": 40}"#, urgency: .background))
    for index in 0..<12 {
      #expect(outcome.files[index] == "\(index < 6 ? "fox" : "cat") \(40 + index % 6)")
    }
    #expect(outcome.warnings?.map(\.message) == ["from the model"])
    #expect(!fleet.models.begun.isEmpty && !other.begun.isEmpty)
    #expect(fleet.models.begun.count + other.begun.count == 12)
    while try await fleet.jobsLeft > 0 { try await Task.sleep(for: .milliseconds(10)) }
    let objects = try await fleet.gateway.layout.stream.info(of: "OBJ_images")
    #expect(objects.state.messages == 0)
    #expect(await fleet.gateway.models().map(\.state) == ["ready"])
    #expect(try await fleet.gateway.prompts(of: nil).model == "fake")
    #expect(try await fleet.gateway.modelName("dall-e-3") == "fake")
    await #expect(throws: ServerError.self) { try await fleet.gateway.modelName("other") }
    await fleet.stop()
  }

  @Test("Previews, input and references cross the cluster, and a failed image reports its error")
  func details() async throws {
    let fleet = try await TestFleet()
    try await fleet.add()
    fleet.models.change { $0.previews = 2 }
    let source = PixelImage(width: 3, height: 2, pixels: [UInt8](repeating: 9, count: 18))
    let made = try await fleet.make(
      TestFleet.order(#"{"prompt": "fox", "seed": 1}"#, urgency: .watched, source: source))
    #expect(made.files == [0: "fox 1 from 3x2"] && made.previews == 2)
    let edited = try await fleet.make(
      TestFleet.order(
        #"{"prompts": ["fox", "dog"], "seed": 1}"#, urgency: .background,
        references: [source, source]))
    #expect(edited.files == [0: "fox 1 with 3x2 with 3x2", 1: "dog 1 with 3x2 with 3x2"])
    fleet.models.change {
      $0.failures["nan"] = ServerError(.internalServerError, "not_finite", "NaN")
      $0.failures["wrong"] = ServerError(
        .badRequest, "invalid_value", "'steps' is wrong", parameter: "steps")
    }
    let failed = try await fleet.make(
      TestFleet.order(#"{"prompts": ["fox", "nan"], "seed": 1}"#, urgency: .background))
    #expect(failed.files.keys.sorted() == [0] && failed.failures == [1: "not_finite"])
    let error = await #expect(throws: ServerError.self) {
      _ = try await fleet.make(TestFleet.order(#"{"prompt": "wrong", "seed": 1}"#))
    }
    #expect(error?.status == .badRequest && error?.parameter == "steps")
    await fleet.stop()
  }

  @Test("A job that no worker survives ends after three, and frees its place")
  func poison() async throws {
    let fleet = try await TestFleet()
    // Workers that vanish with the job: they take it and never say anything again.
    let puller = try Puller(fleet.gateway.layout.stream)
    try await fleet.add()
    await fleet.stopWorkers()
    let lane = Lane(.bulk, model: "fake", client: "me")
    async let outcome = fleet.make(
      TestFleet.order(#"{"prompt": "fox", "seed": 1}"#, urgency: .background))
    var count = 0
    while count < 3 {
      if let delivery = try? await puller.next(of: lane.consumer, in: ClusterNames.jobs) {
        count = delivery.count
      } else {
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    // The next pull is when the server notices, and tells.
    while try await fleet.jobsLeft > 0 {
      if let delivery = try? await puller.next(of: lane.consumer, in: ClusterNames.jobs) {
        Issue.record("it was handed out once more, the time \(delivery.count)")
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    let failures = try await outcome.failures
    #expect(failures == [0: "workers_failed"])
    await fleet.stop()
  }

  @Test("Where nobody heard of a failed job, the janitor finds it")
  func sweep() async throws {
    let fleet = try await TestFleet()
    try await fleet.add()
    await fleet.stopWorkers()
    let (layout, logger) = (fleet.gateway.layout, fleet.gateway.logger)
    await fleet.gateway.close()
    // Another gateway, which begins after the advisory was sent.
    let again = ClusterLayout(
      settings: layout.settings,
      stream: JetStream(try await NATSConnection.connect(layout.settings.nats)))
    let puller = try Puller(again.stream)
    let job = ClusterJob(
      order: "ORDER", index: 0, jobClass: .bulk, model: "fake", client: "me", submitted: Date(),
      deadline: nil, request: "{}", requestVersion: 1, input: nil)
    try await again.stream.publish(
      NATSMessage(job.lane.subject(of: job.id), payload: try ClusterJSON.bytes(job)))
    var count = 0
    while count < 3 {
      // What is given back is there again in a moment.
      if let delivery = try? await puller.next(of: job.lane.consumer, in: ClusterNames.jobs) {
        count = delivery.count
        try await delivery.giveBack()
      }
    }
    if let delivery = try? await puller.next(of: job.lane.consumer, in: ClusterNames.jobs) {
      Issue.record("it was handed out once more, the time \(delivery.count)")
    }
    let janitor = Janitor(layout: again, logger: logger)
    var sweepCount = 0
    while try await again.stream.info(of: ClusterNames.jobs).state.messages > 0, sweepCount < 40 {
      // The server notices at a pull that the deliveries are exhausted.
      let isGone = (try? await puller.next(of: job.lane.consumer, in: ClusterNames.jobs)) == nil
      #expect(isGone)
      await janitor.sweep(models: ["fake"])
      sweepCount += 1
      try await Task.sleep(for: .milliseconds(50))
    }
    #expect(try await again.stream.info(of: ClusterNames.jobs).state.messages == 0)
    #expect(try await again.result(of: job.id)?.error?.code == "workers_failed")
    again.stream.connection.close()
    await fleet.stop()
  }

  @Test("Two that make the same image make one result")
  func firstWriter() async throws {
    let fleet = try await TestFleet()
    let layout = fleet.gateway.layout
    let first = ClusterResult(id: "a-0", status: .done, worker: "one")
    #expect(try await layout.record(first))
    #expect(try await !layout.record(ClusterResult(id: "a-0", status: .failed, worker: "two")))
    #expect(try await layout.result(of: "a-0")?.worker == "one")
    await fleet.stop()
  }

  @Test(
    "A finished image that was damaged on the way is made once more, and no more than once",
    arguments: [[true, false], [true, true]])
  func damage(isDamaged: [Bool]) async throws {
    let fleet = try await TestFleet()
    try await fleet.add()
    await fleet.stopWorkers()
    async let outcome = fleet.make(
      TestFleet.order(#"{"prompt": "fox", "seed": 1}"#, urgency: .background))
    // This test is the worker; between it and the gateway a byte changes.
    let (layout, stream) = (fleet.gateway.layout, fleet.gateway.layout.stream)
    let lane = Lane(.bulk, model: "fake", client: "me")
    let puller = try Puller(stream)
    for isDamaged in isDamaged {
      var done = false
      while !done {
        guard let delivery = try await puller.next(of: lane.consumer, in: ClusterNames.jobs)
        else {
          try await Task.sleep(for: .milliseconds(10))
          continue
        }
        let job = try ClusterJob(delivery.payload)
        let (name, file) = (ClusterNames.image(of: job.id), Array("fox 1".utf8))
        try await layout.objects.put(file, as: name)
        if isDamaged {
          let chunk = try #require(
            try await stream.subjects("$O.images.C.>", of: "OBJ_images").last)
          for chunk in try await stream.subjects("$O.images.C.>", of: "OBJ_images") {
            try await stream.purge(chunk, of: "OBJ_images")
          }
          try await stream.publish(NATSMessage(chunk, payload: Array("fix 1".utf8)))
        }
        var result = ClusterResult(id: job.id, status: .done, worker: "test")
        result.picture = ClusterResult.Picture(
          object: name, sha256: try ImageDigest.text(of: file), seed: 1, width: 8, height: 8)
        #expect(try await layout.record(result))
        try await delivery.acknowledge()
        done = true
      }
    }
    let made = try await outcome
    if isDamaged[1] {
      #expect(made.failures == [0: "image_damaged"])
    } else {
      #expect(made.files == [0: "fox 1"])
    }
    await fleet.stop()
  }

  @Test("A full queue is 429, and a job of many images waits for room")
  func full() async throws {
    let fleet = try await TestFleet(queueCount: 4)
    try await fleet.add(capacity: 1)
    fleet.models.change { $0.time = .milliseconds(100) }
    let error = await #expect(throws: ServerError.self) {
      _ = try await fleet.make(TestFleet.order(#"{"prompt": "fox", "n": 10}"#))
    }
    #expect(error?.status == .tooManyRequests && error?.code == "queue_full")
    #expect((error?.retryAfter ?? 0) >= 1)
    // What was queued of it is cancelled, and makes room.
    fleet.models.change { $0.time = .milliseconds(2) }
    while try await fleet.jobsLeft > 0 { try await Task.sleep(for: .milliseconds(20)) }
    let job = try await fleet.make(
      TestFleet.order(#"{"prompt": "cat", "n": 10, "seed": 1}"#, urgency: .background))
    #expect(job.files.count == 10)
    await fleet.stop()
  }

  @Test("What cannot be made in time is refused at once, and without workers all but jobs are")
  func deadlines() async throws {
    let fleet = try await TestFleet()
    let nobody = await #expect(throws: ServerError.self) {
      _ = try await fleet.make(TestFleet.order(#"{"prompt": "fox"}"#))
    }
    #expect(nobody?.code == "no_workers" && nobody?.status == .serviceUnavailable)
    try await fleet.add(capacity: 1)
    fleet.models.change { $0.time = .milliseconds(300) }
    _ = try await fleet.make(TestFleet.order(#"{"prompt": "fox"}"#))
    while fleet.gateway.fleet.rate(of: "fake") == 0 { try await Task.sleep(for: .milliseconds(50)) }
    let late = await #expect(throws: ServerError.self) {
      _ = try await fleet.make(
        TestFleet.order(
          #"{"prompt": "fox", "n": 16}"#, deadline: Date(timeIntervalSinceNow: 1)))
    }
    #expect(
      late?.status == .tooManyRequests && (late?.retryAfter ?? 0) >= 1, "\(late?.message ?? "")")
    await fleet.stop()
  }

  @Test("A cancelled order ends at once, and its images leave the queue unmade")
  func cancellation() async throws {
    let fleet = try await TestFleet()
    try await fleet.add(capacity: 1)
    fleet.models.change { $0.time = .seconds(30) }
    let work = try TestFleet.order(#"{"prompt": "fox", "n": 8}"#)
    let task = Task { try await fleet.make(work) }
    while fleet.models.begun.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    task.cancel()
    await #expect(throws: CancellationError.self) { _ = try await task.value }
    while try await fleet.jobsLeft > 0 { try await Task.sleep(for: .milliseconds(20)) }
    #expect(fleet.models.begun.count == 1)
    await fleet.stop()
  }

  @Test("A server that is killed and comes back loses no image")
  func restart() async throws {
    let fleet = try await TestFleet()
    try await fleet.add(capacity: 2)
    fleet.models.change { $0.time = .milliseconds(40) }
    async let outcome = fleet.make(
      TestFleet.order(#"{"prompt": "fox", "n": 30, "seed": 1}"#, urgency: .background))
    while fleet.models.begun.count < 6 { try await Task.sleep(for: .milliseconds(5)) }
    fleet.killServer()
    try await Task.sleep(for: .milliseconds(200))
    try fleet.startServer()
    let files = try await outcome.files
    #expect(files.count == 30 && files[29] == "fox 30")
    await fleet.stop()
  }

  @Test("Somebody who watches comes before jobs, and jobs are not kept waiting for ever")
  func priorities() async throws {
    let fleet = try await TestFleet()
    try await fleet.add(capacity: 1)
    fleet.models.change { $0.time = .milliseconds(8) }
    let (many, few) = (
      try TestFleet.order(
        #"{"prompt": "bulk", "n": 30, "seed": 1}"#, client: "a", urgency: .background),
      try TestFleet.order(
        #"{"prompt": "gold", "n": 16, "seed": 1}"#, client: "b", urgency: .watched)
    )
    async let slow = fleet.make(many)
    while fleet.models.begun.count < 3 { try await Task.sleep(for: .milliseconds(2)) }
    _ = try await fleet.make(few)
    let begun = fleet.models.begun
    let first = try #require(begun.firstIndex(of: "gold"))
    let last = try #require(begun.lastIndex(of: "gold"))
    let between = begun[first...last].count { $0 == "bulk" }
    #expect(first < 15 && (1...6).contains(between), "\(begun)")
    _ = try await slow
    await fleet.stop()
  }

  @Test("A job that is not understood is refused, and its gateway learns of it")
  func versions() async throws {
    let fleet = try await TestFleet()
    try await fleet.add()
    let layout = fleet.gateway.layout
    let lane = Lane(.silver, model: "fake", client: "me")
    try await layout.stream.publish(
      NATSMessage(lane.subject(of: "X-0"), payload: Array(#"{"v": 2, "id": "X-0"}"#.utf8)))
    while try await layout.result(of: "X-0") == nil { try await Task.sleep(for: .milliseconds(20)) }
    #expect(try await layout.result(of: "X-0")?.error?.code == "job_unknown")
    while try await fleet.jobsLeft > 0 { try await Task.sleep(for: .milliseconds(20)) }
    await fleet.stop()
  }
}

/// Which lanes are asked next.
@Suite struct LaneTests {
  @Test("Clients with few jobs are not kept waiting by one with many")
  func fairness() {
    var rotation = LaneTurns(models: ["m"])
    let (many, few) = (Lane(.bulk, model: "m", number: 2), Lane(.bulk, model: "m", number: 5))
    var taken: [Lane] = []
    for _ in 0..<10 {
      let order = rotation.order()
      #expect(order.count == 24)
      guard let next = order.first(where: { $0 == many || $0 == few }) else { continue }
      rotation.took(next)
      taken.append(next)
    }
    #expect(taken.count { $0 == few } == 5)
  }

  @Test("More urgent classes come first, seven times in eight")
  func classes() {
    var rotation = LaneTurns(models: ["m"])
    let first = (1...16).compactMap { _ in rotation.order().first?.jobClass }
    #expect(first.count { $0 == .gold } == 14 && first[7] == .bulk && first[15] == .bulk)
  }

  @Test("Only lanes that may have a job are asked")
  func hints() {
    var rotation = LaneTurns(models: ["m"])
    for lane in rotation.order() { rotation.unhint(lane) }
    #expect(rotation.order().isEmpty)
    let lane = Lane(.silver, model: "m", client: "me")
    rotation.hint(lane)
    rotation.hint(Lane(.gold, model: "other", client: "me"))
    #expect(rotation.order() == [lane])
    rotation.hintAll()
    #expect(rotation.order().count == 24)
  }

  @Test(
    "Names become tokens of subjects and back",
    arguments: ["starter", "org/name@main", "a.b*c>d e", "Bär_1", ""])
  func tokens(name: String) {
    let token = ClusterNames.token(name)
    #expect(token.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) })
    #expect(ClusterNames.text(ofToken: token) == name)
    let lane = Lane(.gold, model: name, client: "somebody")
    if !name.isEmpty { #expect(Lane(callSubject: lane.newsSubject) == lane) }
    #expect(ClusterNames.text(ofToken: "_") == nil && ClusterNames.text(ofToken: "_zz") == nil)
  }
}
