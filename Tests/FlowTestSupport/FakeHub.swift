internal import FlowCore
internal import FlowDigest
internal import Foundation
internal import Synchronization

/// A hub on loopback with one repository, `org/name`, that serves what such a hub serves.
public final class FakeHub: Sendable {
  /// A file of the repository.
  public struct File: Sendable {
    /// Where it lies.
    public let path: String
    /// What is in it.
    public let contents: [UInt8]
    /// Its hash: SHA-256 if it is a large file, else git's name of the blob.
    public let digest: String
    /// Whether it is kept as a large file.
    public let isLarge: Bool

    /// Creates a file.
    public init(_ path: String, _ contents: [UInt8], isLarge: Bool = true) {
      (self.path, self.contents, self.isLarge) = (path, contents, isLarge)
      let header = isLarge ? "" : "blob \(contents.count)\0"
      guard var digest = try? MessageDigest(isLarge ? .sha256 : .sha1) else {
        // A fixture of tests: without digests no test of the hub means anything.
        fatalError("the tests need libcrypto")
      }
      digest.update(ContiguousArray(Array(header.utf8) + contents).span)
      self.digest = digest.digits
    }

    /// Creates a small file of text.
    public init(_ path: String, text: String) {
      self.init(path, Array(text.utf8), isLarge: false)
    }
  }

  /// Answers in the hub's stead; `count` says how often the same target was asked for before.
  public typealias Interception =
    @Sendable (_ request: MisbehavingServer.Request, _ count: Int) -> MisbehavingServer.Reply?

  /// The server.
  public let server: MisbehavingServer
  /// The commit of `main`.
  public static let commit = "0123456789abcdef0123456789abcdef01234567"

  /// Starts the hub.
  public init(
    _ files: [File], withBlobs: Bool = true, intercepting: @escaping Interception = { _, _ in nil }
  ) throws {
    let counting = Counting()
    let list = Self.listing(files, withBlobs: withBlobs)
    server = try MisbehavingServer { request in
      let count = counting.count(of: "\(request.method) \(request.target)")
      if let reply = intercepting(request, count) { return reply }
      if request.target == "/api/models/org/name/revision/main?blobs=true" {
        return .init(200, headers: ["Content-Type": "application/json"], body: list)
      }
      let prefix = "/org/name/resolve/\(Self.commit)/"
      guard request.target.hasPrefix(prefix),
        let path = request.target.dropFirst(prefix.count).removingPercentEncoding,
        let file = files.first(where: { $0.path == path })
      else { return .init(404, headers: ["X-Error-Code": "EntryNotFound"]) }
      return Self.reply(file, to: request)
    }
  }

  /// A file as a server of files sends it, ranges and all.
  public static func reply(
    _ file: File, to request: MisbehavingServer.Request
  ) -> MisbehavingServer.Reply {
    var headers = ["ETag": "\"\(file.digest)\"", "X-Repo-Commit": commit]
    if file.isLarge {
      headers["X-Linked-Etag"] = "\"\(file.digest)\""
      headers["X-Linked-Size"] = "\(file.contents.count)"
    }
    guard let range = request.headers["range"],
      let start = Int(range.dropFirst("bytes=".count).dropLast())
    else { return .init(200, headers: headers, body: file.contents) }
    guard start < file.contents.count else {
      return .init(416, headers: ["Content-Range": "bytes */\(file.contents.count)"])
    }
    headers["Content-Range"] =
      "bytes \(start)-\(file.contents.count - 1)/\(file.contents.count)"
    return .init(206, headers: headers, body: Array(file.contents[start...]))
  }

  /// What was asked for, without the list: `GET unet/config.json bytes=3-`.
  public var downloads: [String] {
    let prefix = "/org/name/resolve/\(Self.commit)/"
    return server.requests.filter { $0.target.hasPrefix(prefix) }.map { request in
      let words = [
        request.method, String(request.target.dropFirst(prefix.count)), request.headers["range"],
      ]
      return words.compactMap { $0 }.joined(separator: " ")
    }
  }

  private static func listing(_ files: [File], withBlobs: Bool) -> [UInt8] {
    let siblings = files.map { file in
      var words = ["\"rfilename\":\(quoted(file.path))"]
      if withBlobs {
        words.append("\"size\":\(file.contents.count)")
        let blob = file.isLarge ? String(repeating: "f", count: 40) : file.digest
        words.append("\"blobId\":\"\(blob)\"")
        if file.isLarge {
          words.append(
            "\"lfs\":{\"sha256\":\"\(file.digest)\",\"size\":\(file.contents.count),"
              + "\"pointerSize\":134}")
        }
      }
      return "{\(words.joined(separator: ","))}"
    }
    return Array(
      "{\"id\":\"org/name\",\"sha\":\"\(commit)\",\"siblings\":[\(siblings.joined(separator: ","))]}"
        .utf8)
  }

  private static func quoted(_ text: String) -> String {
    let data = (try? JSONEncoder().encode(text)) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  private final class Counting: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// How often the same was counted before.
    func count(of key: String) -> Int {
      counts.withLock { counts in
        counts[key, default: 0] += 1
        return (counts[key] ?? 1) - 1
      }
    }
  }
}
