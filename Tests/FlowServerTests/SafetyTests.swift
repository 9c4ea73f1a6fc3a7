import Foundation
import Testing

@testable import FlowServer

@Suite final class SafetyTests {
  private let path = NSTemporaryDirectory() + "/SafetyTests-\(UUID().uuidString)"

  deinit { try? FileManager.default.removeItem(atPath: path) }

  private func write(_ text: String, mode: Int = 0o600) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  // MARK: - Token

  @Test(
    "A token of a file is what is in it, without what is around it",
    arguments: ["0123456789abcdef", " \n0123456789abcdef\r\n", "0123456789abcdef\n\n\t"])
  func tokenFile(text: String) throws {
    try write(text)
    let token = try BearerToken(file: path)
    #expect(token.matches(authorization: "Bearer 0123456789abcdef"))
    #expect("\(token)" == "(a token)")
  }

  @Test(
    "A file that others may read or write is refused with the remedy",
    arguments: [0o644, 0o640, 0o604, 0o620, 0o666])
  func openFile(mode: Int) throws {
    try write("0123456789abcdef", mode: mode)
    let expected =
      "the token file '\(path)' is open to others (mode \(String(mode, radix: 8))); run: "
      + "chmod 600 '\(path)'"
    #expect(throws: BearerTokenError(expected)) { try BearerToken(file: path) }
  }

  @Test(
    "An invalid token is rejected with a message that does not contain it",
    arguments: [
      ("", "a token must have 16 to 512 characters, got 0; 'openssl rand -hex 32' makes one"),
      (
        "  short-of-16xyz\n",
        "a token must have 16 to 512 characters, got 14; 'openssl rand -hex 32' makes one"
      ),
      (
        String(repeating: "x", count: 513),
        "a token must have 16 to 512 characters, got 513; 'openssl rand -hex 32' makes one"
      ),
      (
        "correct horse battery",
        "a token must be one line of letters, digits and signs without blanks; 'openssl rand -hex "
          + "32' makes one"
      ),
      (
        "0123456789abcde\u{E9}f",
        "a token must be one line of letters, digits and signs without blanks; 'openssl rand -hex "
          + "32' makes one"
      ),
      (
        "0123456789abcdef\n0123456789abcdef",
        "a token must be one line of letters, digits and signs without blanks; 'openssl rand -hex "
          + "32' makes one"
      ),
    ])
  func badToken(text: String, expected: String) throws {
    try write(text)
    #expect(throws: BearerTokenError("the token file '\(path)': \(expected)")) {
      try BearerToken(file: path)
    }
  }

  @Test("A file that is not there, a folder, and one that is too long are refused in words")
  func unreadable() throws {
    #expect(
      throws: BearerTokenError(
        "cannot read the token file '\(path)': No such file or directory")
    ) { try BearerToken(file: path) }
    let folder = NSTemporaryDirectory()
    #expect(
      throws: BearerTokenError("cannot read the token file '\(folder)': it is a folder")
    ) { try BearerToken(file: folder) }
    try write(String(repeating: "x", count: 10_000))
    #expect(
      throws: BearerTokenError("cannot read the token file '\(path)': it is too long")
    ) { try BearerToken(file: path) }
  }

  @Test(
    "Authorization headers that carry the token, and those that do not",
    arguments: [
      ("Bearer 0123456789abcdef", true), ("bearer 0123456789abcdef", true),
      ("BEARER   0123456789abcdef", true), (nil, false), ("", false), ("Bearer", false),
      ("Bearer ", false), ("Bearer 0123456789abcde", false), ("Bearer 0123456789abcdefg", false),
      ("Bearer 0123456789abcdeF", false), ("Bearer x123456789abcdef", false),
      ("Bearer 0123456789abcdef ", false), ("Bearer 0123456789abcdef\0", false),
      ("Basic 0123456789abcdef", false), ("0123456789abcdef", false),
      ("Bearer 0123456789abcdef, Bearer x", false),
      ("Bearer " + String(repeating: "0123456789abcdef", count: 1000), false),
    ] as [(String?, Bool)])
  func authorization(header: String?, isRight: Bool) throws {
    #expect(try BearerToken("0123456789abcdef").matches(authorization: header) == isRight)
  }

  @Test(
    "Lists of subprotocols that carry the token, and those that do not",
    arguments: [
      ("bearer.0123456789abcdef", true), ("streamflow, bearer.0123456789abcdef", true),
      ("bearer.x,bearer.0123456789abcdef ,y", true), (nil, false), ("", false), (",,", false),
      ("0123456789abcdef", false), ("Bearer.0123456789abcdef", false),
      ("bearer.0123456789abcdef0", false), ("bearer.", false),
    ] as [(String?, Bool)])
  func subprotocols(header: String?, isRight: Bool) throws {
    #expect(try BearerToken("0123456789abcdef").matches(subprotocols: header) == isRight)
  }

  @Test(
    "As many bytes of the secret are read, whatever it is compared with",
    arguments: ["", "0", "x123", "0123456789abcdef", "0123456789abcdeg", "0123456789abcdef0"])
  func constantTime(candidate: String) {
    let secret = CountingBytes(Array("0123456789abcdef".utf8))
    let given = CountingBytes(Array(candidate.utf8))
    #expect(
      ConstantTime.areEqual(given, secret, paddedTo: 64) == (candidate == "0123456789abcdef"))
    #expect(secret.readCount == 16)
    #expect(given.readCount == candidate.utf8.count)
  }

  @Test("Padding does not make different lengths equal")
  func padding() {
    #expect(!ConstantTime.areEqual([1, 0], [1], paddedTo: 4))
    #expect(!ConstantTime.areEqual([1], [1, 0], paddedTo: 4))
    #expect(!ConstantTime.areEqual([1, 2, 3, 4, 5], [1, 2, 3, 4], paddedTo: 4))
    #expect(ConstantTime.areEqual([1, 2, 3, 4], [1, 2, 3, 4], paddedTo: 4))
    #expect(ConstantTime.areEqual([], [], paddedTo: 4))
  }

  // MARK: - Host

  @Test(
    "Hosts that a server on this machine alone answers to",
    arguments: [
      ("localhost", true), ("localhost:8188", true), ("LOCALHOST:1", true), ("localhost.", true),
      ("localhost:", true), ("127.0.0.1", true), ("127.0.0.1:8188", true), ("127.9.8.7:80", true),
      ("[::1]", true), ("[::1]:8188", true), ("[0:0:0:0:0:0:0:1]", true),
      ("[::ffff:127.0.0.1]:1", true), ("studio.local", true), ("Studio.Local:99", true),
      ("only.local:8188", true), ("only.local", false), ("only.local:8189", false),
      (nil, false), ("", false), (":8188", false), ("evil.example", false),
      ("127.0.0.1.evil.example", false), ("localhost.evil.example", false),
      ("xlocalhost", false), ("a.localhost", false), ("127.0.0.1@evil.example", false),
      ("evil.example@127.0.0.1", false), ("192.168.1.5", false), ("0.0.0.0", false),
      ("128.0.0.1", false), ("127.1", false), ("127.0.0.01", false), ("0x7f.0.0.1", false),
      ("2130706433", false), ("127.0.0.256", false), ("::1", false), ("[::1", false),
      ("[::1]x", false), ("[::1]:x", false), ("[::2]", false), ("[127.0.0.1]", false),
      ("[::1%25lo]", false), ("localhost:65536", false), ("localhost:-1", false),
      ("localhost:+80", false), ("localhost:80:80", false), ("localhost, evil.example", false),
      ("localhost ", false), (" localhost", false), ("localhost/", false), ("localhost\0", false),
      ("127.0.0.1\0.evil.example", false), ("loca\u{131}host", false),
      ("\u{FF4C}ocalhost", false), ("localhost..", false), ("localhost:\u{301}80", false),
    ] as [(String?, Bool)])
  func loopback(host: String?, isAllowed: Bool) throws {
    for bound in ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"] {
      let check = try HostCheck(boundHost: bound, hostNames: ["studio.local", "only.local:8188"])
      #expect(check.allows(host: host) == isAllowed, "bound to \(bound)")
    }
  }

  @Test(
    "Hosts that a server on a network answers to",
    arguments: [
      ("192.168.1.5:8188", true), ("10.0.0.1", true), ("[fe80::1]:8188", true),
      ("[2001:db8::1]", true),
      ("127.0.0.1", true), ("localhost:8188", true), ("studio.local", true),
      ("evil.example", false), ("192.168.1.5.evil.example", false), ("192.168.1", false),
      ("1", false), ("[evil.example]", false), ("[fe80::1%25eth0]", false), ("a:b", false),
    ])
  func network(host: String, isAllowed: Bool) throws {
    for bound in ["0.0.0.0", "::", "192.168.1.5"] {
      let check = try HostCheck(boundHost: bound, hostNames: ["studio.local"])
      #expect(check.allows(host: host) == isAllowed, "bound to \(bound)")
    }
    #expect(try HostCheck(boundHost: "Studio.local.").allows(host: "studio.local:8188"))
  }

  @Test(
    "Origins that may ask, and those that may not",
    arguments: [
      (nil, "localhost:8188", true), (nil, nil, true),
      ("http://localhost:8188", "localhost:8188", true),
      ("HTTP://LocalHost:8188", "localhost:8188", true),
      ("http://localhost", "localhost", true), ("http://localhost", "localhost:80", true),
      ("https://pictures.example", "pictures.example", true),
      ("https://pictures.example:443", "pictures.example", true),
      ("http://[::1]:8188", "[::1]:8188", true),
      ("http://localhost:8189", "localhost:8188", false),
      ("http://localhost", "localhost:8188", false),
      ("http://127.0.0.1:8188", "localhost:8188", false),
      ("http://evil.example", "localhost:8188", false), ("null", "localhost:8188", false),
      ("", "localhost:8188", false), ("http://", "localhost:8188", false),
      ("localhost:8188", "localhost:8188", false),
      ("http://localhost:8188/", "localhost:8188", false),
      ("http://localhost:8188/x", "localhost:8188", false),
      ("http://a@localhost:8188", "localhost:8188", false),
      ("http://localhost:8188 http://evil.example", "localhost:8188", false),
      ("ws://localhost:8188", "localhost:8188", false), ("http://localhost:8188", nil, false),
      ("http://localhost:8188", "localhost:8188, evil.example", false),
      ("https://friend.example", "localhost:8188", true),
      ("https://friend.example:443", "localhost:8188", true),
      ("https://FRIEND.example", nil, true), ("http://friend.example", "localhost:8188", false),
      ("https://friend.example:444", "localhost:8188", false),
      ("https://friend.example.evil.example", "localhost:8188", false),
      ("http://dev.example:5173", "localhost:8188", true),
      ("chrome-extension://abcdef", "localhost:8188", true),
      ("chrome-extension://abcdeg", "localhost:8188", false),
    ] as [(String?, String?, Bool)])
  func origins(origin: String?, host: String?, isAllowed: Bool) throws {
    let check = try HostCheck(
      boundHost: "127.0.0.1",
      origins: ["https://friend.example/", "http://dev.example:5173", "chrome-extension://abcdef"])
    #expect(check.allows(origin: origin, host: host) == isAllowed)
    if let origin {
      let isForeign =
        origin.lowercased().contains("friend") || origin.contains("dev.")
        || origin.contains("chrome")
      #expect(check.isNamed(origin: origin) == (isAllowed && isForeign))
    }
  }

  @Test(
    "Invalid names and origins are refused at the start",
    arguments: [
      (
        ["http://x"], [],
        "a host is a name or an address such as studio.local or 192.168.1.5, got 'http://x'"
      ),
      ([""], [], "a host is a name or an address such as studio.local or 192.168.1.5, got ''"),
      (
        ["*.example"], [],
        "a host is a name or an address such as studio.local or 192.168.1.5, got '*.example'"
      ),
      ([], ["*"], "an origin is a scheme and a host such as https://example.com, got '*'"),
      ([], ["null"], "an origin is a scheme and a host such as https://example.com, got 'null'"),
      (
        [], ["example.com"],
        "an origin is a scheme and a host such as https://example.com, got 'example.com'"
      ),
      (
        [], ["http://a/b"],
        "an origin is a scheme and a host such as https://example.com, got 'http://a/b'"
      ),
    ] as [([String], [String], String)])
  func setup(hostNames: [String], origins: [String], expected: String) {
    #expect(throws: HostCheckError(expected)) {
      try HostCheck(boundHost: "127.0.0.1", hostNames: hostNames, origins: origins)
    }
  }

  @Test("Addresses may be named too, with brackets or without")
  func namedAddresses() throws {
    let check = try HostCheck(boundHost: "127.0.0.1", hostNames: ["fd00::5", "10.0.0.5"])
    #expect(check.allows(host: "[fd00::5]:8188"))
    #expect(check.allows(host: "10.0.0.5"))
    #expect(!check.allows(host: "10.0.0.6"))
  }
}
