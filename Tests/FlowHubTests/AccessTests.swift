import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowHub

/// Which hosts are asked, which get the token, and the message of a refusal.
extension PullTests {
  @Test("The token goes to the hub, and not to where the hub points")
  func redirects() async throws {
    let other = try MisbehavingServer { FakeHub.reply(Self.weights, to: $0) }
    defer { other.stop() }
    // The same machine under another name, and another port: neither is the hub.
    for place in ["http://127.0.0.1:\(other.port)/there", "http://localhost:\(other.port)/there"] {
      let hub = try FakeHub(Self.pipeline) { request, count in
        guard request.target.hasSuffix("safetensors") else { return nil }
        // First to another place at the hub, then away from it.
        return .init(
          302,
          headers: ["Location": request.target.contains("moved") ? place : "/moved.safetensors"])
      }
      _ = try await pull(hub, token: "hf_secret")
      #expect(try contents("blobs/\(Self.weights.digest)") == Self.weights.contents)
      #expect(hub.server.requests.count == 5)
      #expect(hub.server.requests.allSatisfy { $0.headers["authorization"] == "Bearer hf_secret" })
      try FileManager.default.removeItem(atPath: repository)
    }
    // The same port under the other name is another host as well.
    let hub = try FakeHub(Self.pipeline) { request, _ in
      guard request.target.hasSuffix("safetensors"),
        request.headers["host"]?.hasPrefix("127") ?? true
      else { return request.target == "/there" ? FakeHub.reply(Self.weights, to: request) : nil }
      let port = request.headers["host"]?.split(separator: ":").last ?? ""
      return .init(307, headers: ["Location": "http://localhost:\(port)/there"])
    }
    _ = try await pull(hub, token: "hf_secret")
    let there = hub.server.requests.filter { $0.target == "/there" }
    #expect(there.count == 1 && there.allSatisfy { $0.headers["authorization"] == nil })
    #expect(other.requests.count == 2)
    #expect(other.requests.allSatisfy { $0.headers["authorization"] == nil })
  }

  @Test("A resumed download asks the place that it is sent to for the rest")
  func resumeElsewhere() async throws {
    let other = try MisbehavingServer { request in
      var reply = FakeHub.reply(Self.weights, to: request)
      if request.headers["range"] == nil { reply.cut = 1000 }
      return reply
    }
    defer { other.stop() }
    let hub = try FakeHub(Self.pipeline) { request, _ in
      guard request.target.hasSuffix("safetensors") else { return nil }
      return .init(302, headers: ["Location": "\(other.address)/there"])
    }
    _ = try await pull(hub)
    #expect(other.requests.map { $0.headers["range"] } == [nil, "bytes=1000-"])
  }

  @Test(
    "A redirect in a circle, or to no address of HTTP, is refused",
    arguments: [
      ("/org/name/resolve/x", "redirects more than 5 times"),
      ("file:///etc/passwd", "which is not an HTTP address"),
    ])
  func badRedirects(location: String, problem: String) async throws {
    let hub = try FakeHub(Self.pipeline) { request, _ in
      .init(302, headers: ["Location": location])
    }
    let error = await error(hub)
    #expect(error?.code == .answerInvalid)
    #expect(error?.message.contains(problem) ?? false, "\(error?.message ?? "")")
    #expect(hub.server.requests.count <= 6)
  }

  @Test("A redirect from an encrypted address to a plain one is refused")
  func downgrade() throws {
    let client = HubClient(
      access: try HubAccess(environment: ["HOME": folder.path]),
      model: try #require(HubModelName("org/name")), revision: "main",
      http: HTTPClient(idleTimeout: .seconds(1)))
    let url = try #require(URL(string: "https://huggingface.co/a"))
    let head = ResponseHead(status: 302, url: url, headers: ["Location": "http://huggingface.co/a"])
    #expect(throws: HubError.self) { try client.target(of: head, from: url) }
    let known = ResponseHead(
      status: 302, url: url, headers: ["Location": "https://me:secret@cdn.example/b"])
    #expect {
      try client.target(of: known, from: url)
    } throws: { "\($0)".contains("a user name or password") && !"\($0)".contains("secret") }
    let shouted = ResponseHead(
      status: 302, url: url, headers: ["Location": "HTTPS://cdn.example/B?c=D"])
    #expect(
      try client.target(of: shouted, from: url).absoluteString == "https://cdn.example/B?c=D")
    let good = ResponseHead(status: 302, url: url, headers: ["Location": "//cdn.example/b?c=d"])
    #expect(try client.target(of: good, from: url).absoluteString == "https://cdn.example/b?c=d")
  }

  @Test(
    "A refusal says what it is and what to do",
    arguments: [
      (401, nil, HubError.Code.accessDenied, "no token was sent: set HF_TOKEN"),
      (403, "hf_secret", .accessDenied, "the token that was sent"),
      (404, nil, .notFound, "there is no 'org/name' at http"),
      (410, nil, .answerInvalid, "answered 410"),
    ])
  func refusals(status: Int, token: String?, code: HubError.Code, words: String) async throws {
    let hub = try FakeHub(Self.pipeline) { _, _ in
      // Words that would ask a browser for a password.
      .init(status, headers: ["WWW-Authenticate": "Bearer realm=\"Sign in\""], body: [60, 62])
    }
    let waits = Waits()
    let error = await error(hub, token: token, waits: waits)
    #expect(error?.code == code)
    #expect(error?.message.contains(words) ?? false, "\(error?.message ?? "")")
    if code == .accessDenied {
      #expect(error?.message.contains("\(hub.server.address)/org/name") ?? false)
    }
    #expect(hub.server.requests.count == 1 && waits.all.isEmpty)
    #expect(!(error?.message.contains("hf_secret") ?? true))
  }

  @Test("The scheme of an endpoint may be in upper case")
  func upperCaseEndpoint() throws {
    let access = try HubAccess(
      environment: ["HOME": folder.path, "HF_ENDPOINT": "HTTP://localhost:1234/Hub/"])
    #expect(access.endpoint == "http://localhost:1234/Hub")
  }

  @Test("What a hub answers cannot command a terminal")
  func escapes() async throws {
    // Escaped in JSON, or as it is.
    let commit = #"\u001b]0;title\u0007"# + "\u{9b}31m\u{202e}moc"
    let hub = try FakeHub([]) { _, _ in
      .init(200, body: Array((#"{"sha":""# + commit + #"","siblings":[]}"#).utf8))
    }
    let message = try #require(await error(hub)?.message)
    #expect(message.unicodeScalars.allSatisfy { !$0.isUnsafeToPrint }, "\(message)")
    let redirecting = try FakeHub([]) { _, _ in
      .init(302, headers: ["Location": "ftp://\u{9b}31m/"])
    }
    let other = try #require(await error(redirecting)?.message)
    #expect(other.unicodeScalars.allSatisfy { !$0.isUnsafeToPrint }, "\(other)")
    #expect("a\u{1b}[2Jb\u{202e}c\td\n".printable == "a\\u{1b}[2Jb\\u{202e}c\td\n")
    #expect("fuchs, Ä, 狐, 🦊‍🟦".printable == "fuchs, Ä, 狐, 🦊‍🟦")
  }

  @Test("A missing revision and a missing repository are different errors")
  func revision() async throws {
    let hub = try FakeHub([]) { _, _ in .init(404, headers: ["X-Error-Code": "RevisionNotFound"]) }
    #expect(await error(hub)?.message.contains("has no revision 'main'") ?? false)
  }

  @Test("A hub that is busy is left alone for as long as it asks, then asked again")
  func busy() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      switch count {
      case 0: .init(429, headers: ["Retry-After": "7"])
      case 1: .init(429, headers: ["Retry-After": "999999"])
      case 2: .init(503)
      case 3: .init(500)
      default: nil
      }
    }
    let waits = Waits()
    _ = try await pull(hub, waits: waits)
    #expect(waits.all.prefix(2) == [.seconds(7), .seconds(300)])
    #expect(waits.all.count == 16 && waits.all.allSatisfy { $0 <= .seconds(300) })
  }

  @Test("Retries end for a hub that keeps failing, with its last words")
  func failing() async throws {
    let hub = try FakeHub(Self.pipeline) { request, _ in
      request.target.hasSuffix("safetensors") ? .init(502) : nil
    }
    let waits = Waits()
    let error = await error(hub, waits: waits)
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("failed 6 times: 127.0.0.1 answered 502") ?? false)
    #expect(waits.all.count == 5)
    // Doubling, less the half that chance takes.
    for (index, wait) in waits.all.enumerated() {
      let full = Duration.seconds(1 << index)
      #expect((full / 2...full).contains(wait))
    }
  }

  @Test("A hub that falls silent is a failure that is tried again")
  func silent() async throws {
    let hub = try FakeHub(Self.pipeline) { request, count in
      guard request.target.hasSuffix("safetensors"), count == 0 else { return nil }
      var reply = FakeHub.reply(Self.weights, to: request)
      (reply.cut, reply.hangs) = (100_000, true)
      return reply
    }
    _ = try await pull(hub, change: { $0.idleTimeout = .seconds(1) })
    #expect(hub.downloads.last == "GET \(Self.weights.path) bytes=100000-")
  }

  @Test(
    "Names of files that lead out of the folder are refused before anything is downloaded",
    arguments: [
      "../evil", "/etc/passwd", "a/../../b", "a//b", "a\\b", "", ".", "a/./b", "a\0b", "a\nb", "a/",
      "a\u{9b}31mb", "a\u{202e}b", "a\u{2066}b",
    ])
  func hostileNames(path: String) async throws {
    let hub = try FakeHub(Self.pipeline + [FakeHub.File(path, text: "x")])
    let error = await error(hub)
    #expect(error?.code == .answerInvalid)
    #expect(error?.message.contains("leads out of its folder") ?? false)
    #expect(hub.downloads.isEmpty)
  }

  @Test("An invalid list, another commit, and a hash that changes are refused")
  func hostileAnswers() async throws {
    let lists = [
      "not JSON", "{}", "[]", #"{"sha":"../..","siblings":[]}"#, #"{"sha":"main","siblings":[]}"#,
    ]
    for list in lists {
      let hub = try FakeHub([]) { _, _ in .init(200, body: Array(list.utf8)) }
      #expect(await error(hub)?.code == .answerInvalid)
    }
    for header in ["X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size"] {
      let hub = try FakeHub(Self.pipeline) { request, _ in
        guard request.target.hasSuffix("safetensors") else { return nil }
        var reply = FakeHub.reply(Self.weights, to: request)
        reply.headers[header] = String(repeating: "1", count: header == "X-Linked-Etag" ? 64 : 4)
        return reply
      }
      let code = await error(hub)?.code
      #expect(code == (header == "X-Repo-Commit" ? .answerInvalid : .contentMismatch))
      try FileManager.default.removeItem(atPath: repository)
    }
  }

  @Test("The environment names the hub, the token and whether to go out at all")
  func environment() throws {
    #expect(try HubAccess(environment: ["HOME": "/nowhere"]).endpoint == "https://huggingface.co")
    #expect(try HubAccess(environment: ["HOME": "/nowhere"]).token == nil)
    #expect(
      try HubAccess(environment: ["HF_ENDPOINT": "http://x:1/hf/"]).endpoint == "http://x:1/hf")
    _ = try folder.write(Array("hf_file\n".utf8), as: "token")
    let home = ["HF_HOME": folder.path]
    #expect(try HubAccess(environment: home).token == "hf_file")
    #expect(
      try HubAccess(environment: home.merging(["HF_TOKEN": "hf_own"]) { $1 }).token == "hf_own")
    for (variable, value, code) in [
      ("HF_HUB_OFFLINE", "1", HubError.Code.offline), ("HF_HUB_OFFLINE", "true", .offline),
      ("HF_TOKEN", "a\r\nHost: evil", .requestInvalid), ("HF_ENDPOINT", "ftp://x", .requestInvalid),
      ("HF_ENDPOINT", "huggingface.co", .requestInvalid),
    ] {
      let error = #expect(throws: HubError.self) { try HubAccess(environment: [variable: value]) }
      #expect(error?.code == code)
    }
    #expect(throws: Never.self) { try HubAccess(environment: ["HF_HUB_OFFLINE": "0"]) }
  }

  @Test("Retry-After is a number of seconds or a date")
  func retryAfter() {
    let now = Date(timeIntervalSince1970: 1_445_412_480)
    #expect(RetryPolicy.retryAfter("120") == .seconds(120))
    #expect(
      RetryPolicy.retryAfter("Wed, 21 Oct 2015 07:30:00 GMT", now: now) == .seconds(120))
    #expect(RetryPolicy.retryAfter("Wed, 21 Oct 2015 07:00:00 GMT", now: now) == .zero)
    for text in [nil, "", "soon", "-1"] { #expect(RetryPolicy.retryAfter(text) == nil) }
  }
}
