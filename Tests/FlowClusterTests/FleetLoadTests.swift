import FlowTestSupport
import Foundation
import Synchronization
import Testing

@testable import FlowCluster
@testable import FlowServer

/// What a fleet costs its server of NATS: `STREAMFLOW_FLEET_WORKERS=200 swift test --filter FleetLoad` prints it.
///
/// Without the variable it is a small fleet. Workers have a connection each, as processes have, and make an image in 20 ms
/// without computing.
@Suite(.tags(.process)) struct FleetLoadTests {
  /// Counts of the server since its start.
  private struct Load: Decodable {
    /// Messages from and to clients.
    let in_msgs: Double
    let out_msgs: Double
    /// Seconds of processor time, from the system.
    var seconds = 0.0

    enum CodingKeys: CodingKey { case in_msgs, out_msgs }

    static func - (late: Load, early: Load) -> Load {
      Load(
        in_msgs: late.in_msgs - early.in_msgs, out_msgs: late.out_msgs - early.out_msgs,
        seconds: late.seconds - early.seconds)
    }

    init(in_msgs: Double, out_msgs: Double, seconds: Double) {
      (self.in_msgs, self.out_msgs, self.seconds) = (in_msgs, out_msgs, seconds)
    }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      in_msgs = try values.decode(Double.self, forKey: .in_msgs)
      out_msgs = try values.decode(Double.self, forKey: .out_msgs)
    }
  }

  private static let given = ProcessInfo.processInfo.environment["STREAMFLOW_FLEET_WORKERS"]
    .flatMap { Int($0) }

  private func load(_ fleet: TestFleet) throws -> Load {
    let answer = try LoopbackClient.ask(fleet.monitoringPort, "GET", "/varz")
    var load = try JSONDecoder().decode(Load.self, from: Data(answer.body))
    load.seconds = fleet.serverSeconds
    return load
  }

  private func print(_ what: String, _ load: Load, per count: Double, _ unit: String) {
    guard Self.given != nil else { return }
    Swift.print(
      String(
        format: "%@: %.2f messages in, %.2f out, %.3f ms of the server's processor time per %@",
        what,
        load.in_msgs / count, load.out_msgs / count, load.seconds * 1000 / count, unit))
  }

  @Test("Idle workers ask the server for little, and a job wakes few of them")
  func load() async throws {
    let workers = Self.given ?? 12
    let fleet = try await TestFleet(queueCount: 20_000, #"http: "127.0.0.1:-1""#)
    fleet.models.change { $0.time = .milliseconds(20) }
    for number in 0..<workers { try await fleet.add("worker-\(number)", capacity: 1) }
    try await Task.sleep(for: .seconds(3))

    // Idle.
    let before = try load(fleet)
    let seconds = Self.given == nil ? 4.0 : 10.0
    try await Task.sleep(for: .seconds(seconds))
    let idle = try load(fleet) - before
    print("\(workers) idle workers", idle, per: seconds * Double(workers), "worker and second")
    // A heartbeat every two seconds and its acknowledgement are one message a second.
    #expect(idle.in_msgs / seconds / Double(workers) < 4)

    // One image after another: most workers wait.
    let count = Self.given == nil ? 20 : 200
    let begin = try load(fleet)
    let start = ContinuousClock.now
    for number in 0..<count {
      let outcome = try await fleet.make(
        TestFleet.order(#"{"prompt": "fox", "seed": \#(number)}"#, client: "client-\(number)"))
      #expect(outcome.files == [0: "fox \(number)"])
    }
    let alone = ContinuousClock.now - start
    let single = try load(fleet) - begin
    print("one at a time", single, per: Double(count), "image")
    if Self.given != nil {
      Swift.print(
        "one at a time: \(alone / .milliseconds(count)) ms per image, 20 of them the image")
    }
    // Some twenty messages for the image itself, and heartbeats.
    let perSecond = 4 * Double(workers) * (alone / .seconds(1)) / Double(count)
    #expect(single.out_msgs / Double(count) < 30 + perSecond)

    // A job of many images, which keeps all workers busy.
    let many = Self.given == nil ? 100 : 1000
    let first = try load(fleet)
    let queued = ContinuousClock.now
    let outcome = try await fleet.make(
      TestFleet.order(
        #"{"prompts": [\#((0..<many / 50).map { "\"fox \($0)\"" }.joined(separator: ","))], "n": 50, "seed": 1}"#,
        urgency: .background))
    #expect(outcome.files.count == many)
    let job = try load(fleet) - first
    let took = (ContinuousClock.now - queued) / .seconds(1)
    print("a job of \(many) images", job, per: Double(many), "image")
    if Self.given != nil {
      Swift.print("a job: \(Double(many) / took) images/s, \(Double(workers) / 0.02) are possible")
    }
    await fleet.stop()
  }
}
