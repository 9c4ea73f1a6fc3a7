import FlowTestSupport
import Foundation
import Testing

@testable import FlowServer

/// A server behind a proxy.
@Suite(.serialized, .tags(.engine)) struct ForwardingTests {
  private static func address(
    _ port: Int, _ headers: [String: String] = [:], path: String = "/v1/images/generations"
  ) throws -> String {
    let answer = try LoopbackClient.ask(
      port, "POST", path,
      json: #"{"prompt": "a fox", "steps": 1, "response_format": "url"}"#, headers: headers)
    let url = answer["data", "0", "url"] as? String
    return url.map { $0.replacing(/img_?[0-9a-f]+.*|[0-9a-f]{16,}.*/, with: "") }
      ?? "\(answer.status) \(answer["error", "code"] as? String ?? "")"
  }

  @Test("Addresses begin with what the trusted proxy says that clients see")
  func trusted() async throws {
    let server = try await RunningServer {
      $0.trustedProxies = ["127.0.0.0/8"]
      $0.hostNames = ["pictures.example"]
    }
    let own = "http://127.0.0.1/v1/results/"
    for (headers, expected) in [
      ([:], own),
      (["X-Forwarded-Proto": "https"], "https://127.0.0.1/v1/results/"),
      (
        ["X-Forwarded-Proto": "HTTPS, http", "X-Forwarded-Host": "pictures.example"],
        "https://pictures.example/v1/results/"
      ),
      (
        ["X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/a/b/", "Host": "pictures.example"],
        "https://pictures.example/a/b/v1/results/"
      ),
      (
        ["Forwarded": "for=192.0.2.1, for=\"[2001:db8::1]\";proto=https;host=pictures.example:444"],
        "https://pictures.example:444/v1/results/"
      ),
      (["X-Forwarded-Proto": "javascript"], "400 forwarded_invalid"),
      (["X-Forwarded-Prefix": "//evil.example"], "400 forwarded_invalid"),
      (["X-Forwarded-Prefix": "/a/../b"], "400 forwarded_invalid"),
      (["Forwarded": "proto=\"https"], "400 forwarded_invalid"),
      // A name that the server does not have is refused here as in Host (DNS rebinding).
      (["X-Forwarded-Host": "evil.example"], "421 host_refused"),
      (["Forwarded": "host=evil.example"], "421 host_refused"),
      (["Host": "evil.example", "X-Forwarded-Host": "pictures.example"], "421 host_refused"),
      // The proxy's page is its own.
      (
        ["X-Forwarded-Host": "pictures.example", "Origin": "https://pictures.example"],
        "http://pictures.example/v1/results/"
      ),
      (
        ["X-Forwarded-Host": "pictures.example", "Origin": "https://a.example"],
        "403 origin_refused"
      ),
    ] as [([String: String], String)] {
      #expect(try Self.address(server.port, headers) == expected, "\(headers)")
    }
    await server.stop()
  }

  @Test("Headers of other clients are ignored")
  func untrusted() async throws {
    let server = try await RunningServer { $0.trustedProxies = ["10.0.0.0/8"] }
    let headers = [
      "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Prefix": "/x", "Forwarded": "host=evil.example;proto=https",
    ]
    #expect(try Self.address(server.port, headers) == "http://127.0.0.1/v1/results/")
    await server.stop()
  }

  @Test(
    "With a public URL addresses begin with it, and its path is taken off requests that have it")
  func publicURL() async throws {
    let server = try await RunningServer { $0.publicURL = "https://pictures.example/flow/" }
    let expected = "https://pictures.example/flow/v1/results/"
    #expect(try Self.address(server.port) == expected)
    let own = ["Host": "pictures.example", "Origin": "https://pictures.example"]
    #expect(try Self.address(server.port, own) == expected)
    // A proxy that names itself, with the page of the public name.
    #expect(try Self.address(server.port, ["Origin": "https://pictures.example"]) == expected)
    #expect(
      try Self.address(server.port, ["Origin": "http://pictures.example"]) == "403 origin_refused")
    #expect(try Self.address(server.port, path: "/flow/v1/images/generations") == expected)
    let page = try LoopbackClient.ask(server.port, "GET", "/flow/", headers: own)
    #expect(page.status == 200 && page.text.contains("<html"))
    #expect(
      page.headers["content-security-policy"]?.contains("wss://pictures.example;") == true,
      "\(page.headers)")
    // All that the page loads is named relative to it.
    for match in page.text.matches(of: /(?:src|href)="([^"#]+)"/)
    where !match.1.hasPrefix("data:") {
      #expect(!match.1.hasPrefix("/") && !match.1.contains("://"), "\(match.1)")
      let path = "/flow/\(match.1)"
      #expect(try LoopbackClient.ask(server.port, "GET", path, headers: own).status == 200)
    }
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/flow/v1/streams", json: #"{"prompt": "x", "stages": 1}"#, headers: own)
    let socket = "/flow/v1/streams/\(try #require(opened["id"] as? String))/socket"
    let head = try TestSocket(port: server.port, path: socket, headers: own).head
    #expect(head.hasPrefix("HTTP/1.1 101"), "\(head)")
    await server.stop()
  }

  /// The addresses of images in all answers and events about a job.
  private static func jobAddresses(
    _ port: Int, _ headers: [String: String] = [:], below prefix: String = ""
  ) throws -> [String] {
    let job = try LoopbackClient.ask(
      port, "POST", "\(prefix)/v1/jobs", json: #"{"prompt": "a fox", "n": 2, "steps": 1}"#,
      headers: headers)
    let path = "\(prefix)/v1/jobs/\(job["id"] as? String ?? "")"
    // The events end with the job.
    let events = try LoopbackClient.ask(port, "GET", "\(path)/events", headers: headers).text
    let report = try LoopbackClient.ask(port, "GET", path, headers: headers)
    #expect((report["images"] as? [Any])?.count == 2, "\(report.text)")
    #expect(events.contains("event: done"), "\(events)")
    return (events + report.text).replacing("\\/", with: "/")
      .matches(of: /"url" ?: ?"([^"]*)images\/[0-9]+"/)
      .map { String($0.1).replacing(/job_[0-9a-f]+/, with: "ID") }
  }

  @Test("Addresses of a job's images begin with the path that clients see")
  func jobImages() async throws {
    var server = try await RunningServer { $0.trustedProxies = ["127.0.0.0/8"] }
    var found = try Self.jobAddresses(server.port)
    #expect(found.count >= 2 && Set(found) == ["/v1/jobs/ID/"], "\(found)")
    found = try Self.jobAddresses(server.port, ["X-Forwarded-Prefix": "/a/b/"])
    #expect(found.count >= 2 && Set(found) == ["/a/b/v1/jobs/ID/"], "\(found)")
    await server.stop()
    server = try await RunningServer { $0.publicURL = "https://pictures.example/flow" }
    found = try Self.jobAddresses(server.port, below: "/flow")
    #expect(found.count >= 2 && Set(found) == ["/flow/v1/jobs/ID/"], "\(found)")
    await server.stop()
  }

  @Test("Events of a job name images below the path that clients see, and nothing else changes")
  func jobEvents() {
    let image = JobImage(job: "job_a", index: 3, seed: 7)
    guard case .image(let moved) = JobChange.image(image).below("/flow") else {
      Issue.record("another event")
      return
    }
    #expect(moved.url == "/flow/v1/jobs/job_a/images/3")
    #expect(moved.index == 3 && moved.seed == 7 && image.below("").url == image.url)
  }

  @Test(
    "Public URLs and what they mean",
    arguments: [
      ("https://a.example", "https://a.example"), ("HTTP://A.example:81/", "http://A.example:81"),
      ("https://[::1]:8/x/y/", "https://[::1]:8/x/y"), ("a.example", nil), ("ftp://a", nil),
      ("https://", nil), ("https:///x", nil), ("https://a/x?y", nil), ("https://a/../b", nil),
      ("https://a//b", nil), ("https://u@a/", nil), ("https://a/%2e", nil), ("https://a/ ", nil),
    ] as [(String, String?)])
  func urls(text: String, expected: String?) { #expect(PublicURL(text)?.description == expected) }

  @Test("A prefix is taken off paths below it, and off nothing else")
  func prefix() throws {
    let url = try #require(PublicURL("https://a.example/x"))
    for (path, expected) in [
      ("/x/", "/"), ("/x/v1/a?b=/x/", "/v1/a?b=/x/"), ("/x", "/x"), ("/xy/z", "/xy/z"),
      ("/v1/x/", "/v1/x/"), ("/x//v1", "//v1"),
    ] { #expect(url.path(path) == expected) }
  }

  @Test("Addresses of proxies, valid and invalid")
  func proxies() throws {
    func contains(_ proxies: [String], _ address: String) throws -> Bool {
      try TrustedProxies(proxies).contains(try #require(Authority(host: address)?.address))
    }
    #expect(try contains(["10.1.2.3"], "10.1.2.3") && !contains(["10.1.2.3"], "10.1.2.4"))
    #expect(try contains(["10.0.0.0/9"], "10.127.0.1") && !contains(["10.0.0.0/9"], "10.128.0.1"))
    #expect(try contains(["10.0.0.0/9"], "::ffff:10.1.1.1") && contains(["::/0"], "::1"))
    #expect(try contains(["2001:db8::/33"], "2001:db8:7fff::1"))
    #expect(try !contains(["2001:db8::/33"], "2001:db8:8000::1"))
    #expect(try !contains(["0.0.0.0/0"], "::1") && !contains(["::/0"], "10.0.0.1"))
    for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::/129"]
    {
      #expect(throws: HostCheckError.self, "\(wrong)") { try TrustedProxies([wrong]) }
    }
  }
}
