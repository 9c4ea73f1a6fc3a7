import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// Jobs of real servers: over a restart, in lists, and with an input image.
@Suite(.serialized, .tags(.engine)) struct JobStateTests {
  private static func wait(_ port: Int, _ id: String, until status: String) async throws -> Bool {
    try await eventually {
      try LoopbackClient.ask(port, "GET", "/v1/jobs/\(id)")["status"] as? String == status
    }
  }

  private static func images(_ port: Int, _ id: String) throws -> [[UInt8]] {
    let job = try LoopbackClient.ask(port, "GET", "/v1/jobs/\(id)")
    let images = try #require(job["images"] as? [[String: Any]])
    return try images.map { image in
      try LoopbackClient.ask(port, "GET", image["url"] as? String ?? "").body
    }
  }

  @Test(
    "A job continues by itself after a restart, and its images are the same bytes as without one")
  func restart() async throws {
    let folder = try TemporaryFolder()
    let json = #"{"prompts": ["a fox", "sushi"], "n": 30, "seed": 5, "steps": 2}"#
    var server = try await RunningServer { $0.stateFolder = "\(folder.path)/state" }
    let accepted = try LoopbackClient.ask(server.port, "POST", "/v1/jobs", json: json)
    #expect(accepted.status == 202, "\(accepted.text)")
    let id = try #require(accepted["id"] as? String)
    let port = server.port
    #expect(
      try await eventually {
        try LoopbackClient.ask(port, "GET", "/v1/jobs/\(id)")["done"] as? Int ?? 0 >= 3
      })
    await server.stop()

    // A client that asks as soon as the port is open finds the job in progress.
    server = try await RunningServer { $0.stateFolder = "\(folder.path)/state" }
    let events = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/events").text
    #expect(events.contains("event: done\n"))
    let job = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)")
    #expect(job["status"] as? String == "done" && job["done"] as? Int == 60, "\(job.text)")
    #expect(job["seed"] as? Int == 5 && job["model"] as? String == "starter")
    let images = try Self.images(server.port, id)
    await server.stop()

    let other = try await RunningServer.shared()
    let whole = try LoopbackClient.ask(other.port, "POST", "/v1/jobs", json: json)
    let twin = try #require(whole["id"] as? String)
    #expect(try await Self.wait(other.port, twin, until: "done"))
    #expect(try Self.images(other.port, twin) == images)
    #expect(try LoopbackClient.ask(other.port, "DELETE", "/v1/jobs/\(twin)").status == 200)
  }

  @Test("Jobs are listed in pages, counted in the metrics, and wrong queries are refused")
  func list() async throws {
    let server = try await RunningServer()
    var ids: [String] = []
    for _ in 0..<3 {
      let answer = try LoopbackClient.ask(
        server.port, "POST", "/v1/jobs", json: #"{"prompt": "a fox", "steps": 1}"#)
      ids.append(try #require(answer["id"] as? String))
      #expect(try await Self.wait(server.port, ids[ids.count - 1], until: "done"))
    }
    let page = try LoopbackClient.ask(server.port, "GET", "/v1/jobs?limit=2&status=done")
    #expect(page["object"] as? String == "list" && page["has_more"] as? Bool == true)
    #expect(page["data", "0", "id"] as? String == ids[2])
    #expect(page["first_id"] as? String == ids[2] && page["last_id"] as? String == ids[1])
    let rest = try LoopbackClient.ask(server.port, "GET", "/v1/jobs?limit=2&after=\(ids[1])")
    #expect((rest["data"] as? [Any])?.count == 1 && rest["has_more"] as? Bool == false)
    let metrics = try LoopbackClient.ask(server.port, "GET", "/metrics").text
    for line in ["streamflow_jobs{status=\"done\"} 3", "streamflow_jobs{status=\"paused\"} 0"] {
      #expect(metrics.contains(line), "\(line) is not in \(metrics)")
    }
    for (query, parameter) in [
      ("limit=0", "limit"), ("limit=x", "limit"), ("status=lost", "status"), ("order=up", "order"),
      ("after=job_0", "after"), ("page=2", "page"),
    ] {
      let answer = try LoopbackClient.ask(server.port, "GET", "/v1/jobs?\(query)")
      #expect(answer.status == 400, "\(query): \(answer.text)")
      #expect(answer["error", "param"] as? String == parameter)
    }
    await server.stop()
  }

  @Test("A job of a form starts from an input image, as an edit does")
  func inputImage() async throws {
    let server = try await RunningServer.shared()
    let source = PixelImage(
      width: 64, height: 64, pixels: (0..<64 * 64 * 3).map { UInt8(truncatingIfNeeded: $0) })
    let edit = try Self.form(server.port, "/v1/images/edits", try source.png())
    let expected = try #require(edit["data", "0", "b64_json"] as? String)
    let job = try Self.form(server.port, "/v1/jobs", try source.png())
    #expect(job.status == 202, "\(job.text)")
    let id = try #require(job["id"] as? String)
    #expect(try await Self.wait(server.port, id, until: "done"))
    #expect(
      try Self.images(server.port, id).first == Data(base64Encoded: expected).map { Array($0) })
  }

  private static func form(
    _ port: Int, _ path: String, _ file: [UInt8]
  ) throws -> LoopbackClient.Answer {
    var body: [UInt8] = []
    for (name, value) in [("prompt", "a fox"), ("seed", "4"), ("steps", "2"), ("strength", "0.5")] {
      body += Array(
        "--cut\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8)
    }
    body += Array(
      "--cut\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n".utf8)
    body += file + Array("\r\n--cut--\r\n".utf8)
    return try LoopbackClient.ask(
      port, "POST", path, headers: ["Content-Type": "multipart/form-data; boundary=cut"],
      body: body)
  }

  @Test("A state folder that is in use, or damaged, stops the start")
  func setup() async throws {
    let folder = try TemporaryFolder()
    let server = try await RunningServer { $0.stateFolder = folder.path }
    await #expect(throws: ServerSetupError.self) {
      try await RunningServer { $0.stateFolder = folder.path }
    }
    await server.stop()
    try Data("damaged".utf8).write(to: URL(filePath: "\(folder.path)/jobs.sqlite"))
    do {
      _ = try await RunningServer { $0.stateFolder = folder.path }
      Issue.record("started with a damaged database")
    } catch let error as ServerSetupError {
      #expect(error.message.contains("jobs.sqlite' is damaged"), "\(error)")
    }
  }
}
