import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

@Suite(.serialized, .tags(.engine)) struct JobRouteTests {
  private static func start(_ port: Int, _ json: String) throws -> String {
    let answer = try LoopbackClient.ask(port, "POST", "/v1/jobs", json: json)
    #expect(answer.status == 202, "\(answer.text)")
    return try #require(answer["id"] as? String)
  }

  @Test("A job is made while nobody waits; its events end when it does")
  func whole() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.start(
      server.port, #"{"prompts": ["a fox", "sushi"], "n": 3, "seed": 1, "steps": 2}"#)
    let events = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/events").text
    #expect(events.hasSuffix("\n\n"))
    #expect(events.components(separatedBy: "event: done\n").count == 2)
    let job = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)")
    #expect(job["status"] as? String == "done" && job["done"] as? Int == 6)
    let images = try #require(job["images"] as? [[String: Any]])
    #expect(images.map { $0["seed"] as? Int } == [1, 2, 3, 1, 2, 3])
    for image in images {
      let picture = try LoopbackClient.ask(server.port, "GET", image["url"] as? String ?? "")
      #expect(picture.headers["content-type"] == "image/png")
      #expect(try PixelImage(picture: picture.body).height == 64)
    }
    // Forgotten with its images.
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/jobs/\(id)").status == 200)
    #expect(try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)").status == 404)
    #expect(
      try LoopbackClient.ask(server.port, "GET", images[0]["url"] as? String ?? "").status == 404)
  }

  @Test("A job that is cancelled ends at once, and what was made is kept")
  func cancelling() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.start(server.port, #"{"prompt": "a fox", "n": 900, "steps": 3}"#)
    func job() throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)")
    }
    while try job()["done"] as? Int == 0 { try await Task.sleep(for: .milliseconds(5)) }
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/jobs/\(id)").status == 200)
    while try job()["status"] as? String == "running" {
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(try job()["status"] as? String == "cancelled")
    let count = try #require(try job()["images"] as? [Any]).count
    #expect(count > 0 && count < 900)
  }

  @Test("One image comes long before a job's many are done")
  func brief() async throws {
    let server = try await RunningServer.shared()
    let id = try Self.start(server.port, #"{"prompt": "a fox", "n": 900, "steps": 4}"#)
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: #"{"prompt": "x", "steps": 4}"#)
    #expect(answer.status == 200)
    let done = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)")["done"] as? Int
    #expect(try #require(done) < 450)
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/jobs/\(id)").status == 200)
  }

  @Test(
    "What is not there is not found",
    arguments: [
      "/v1/jobs/nothing", "/v1/jobs/nothing/events", "/v1/jobs/..%2f..%2fetc/images/0",
      "/v1/results/nothing.png", "/v1/results/..%2f..%2fetc%2fpasswd",
      "/v1/results/../../etc/passwd",
      "/v1/streams/nothing", "/v1/streams/nothing/mjpeg", "/nothing", "//etc/passwd",
    ])
  func nothing(path: String) async throws {
    let server = try await RunningServer.shared()
    let answer = try LoopbackClient.ask(server.port, "GET", path)
    #expect(answer.status == 404)
    #expect(answer["error", "code"] as? String == "not_found", "\(answer.text)")
  }
}
