internal import Foundation
internal import Synchronization

/// A small HTTP server on loopback that does what a test tells it, wrong things too.
public final class MisbehavingServer: Sendable {
  /// What was asked.
  public struct Request: Sendable {
    /// `GET` or `HEAD`.
    public let method: String
    /// The path with its query, as it was sent.
    public let target: String
    /// The headers; their names in small letters.
    public let headers: [String: String]
  }

  /// What is answered.
  public struct Reply: Sendable {
    /// The status.
    public var status: Int
    /// The headers; `Content-Length` is added unless it is here.
    public var headers: [String: String]
    /// The body.
    public var body: [UInt8]
    /// The connection is closed after this number of bytes of the body.
    public var cut: Int?
    /// Whether the connection stays open, and silent, instead of being cut.
    public var hangs = false

    /// Creates an answer.
    public init(
      _ status: Int, headers: [String: String] = [:], body: [UInt8] = [], cut: Int? = nil
    ) {
      (self.status, self.headers, self.body, self.cut) = (status, headers, body, cut)
    }
  }

  /// The port that it listens at.
  public let port: Int
  /// What it was asked so far.
  public var requests: [Request] { log.withLock { $0 } }
  /// Its address.
  public var address: String { "http://127.0.0.1:\(port)" }

  private let log = Mutex<[Request]>([])
  private let listener: Int32
  private let isOver = Atomic(false)

  /// Starts to listen.
  ///
  /// - Parameter answer: makes the answer to a request; called on a thread of the connection's own.
  public init(answer: @escaping @Sendable (Request) -> Reply) throws {
    signal(SIGPIPE, SIG_IGN)
    #if canImport(Darwin)
      listener = socket(AF_INET, SOCK_STREAM, 0)
    #else
      listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let (descriptor, size) = (listener, length)
    let isListening = unsafe withUnsafeMutablePointer(to: &place) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
        unsafe bind(descriptor, place, size) == 0 && listen(descriptor, 64) == 0
          && getsockname(descriptor, place, &length) == 0
      }
    }
    guard isListening else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    port = Int(UInt16(bigEndian: place.sin_port))
    Thread.detachNewThread { [weak self] in
      while true {
        let connection = accept(descriptor, nil, nil)
        guard connection >= 0, let server = self, !server.isOver.load(ordering: .relaxed) else {
          if connection >= 0 { close(connection) }
          return
        }
        Thread.detachNewThread { server.serve(connection, answer) }
      }
    }
  }

  /// Stops; connections that hang are cut.
  public func stop() {
    guard !isOver.exchange(true, ordering: .relaxed) else { return }
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  deinit { stop() }

  private func serve(_ connection: Int32, _ answer: (Request) -> Reply) {
    defer { close(connection) }
    guard let request = Self.request(from: connection) else { return }
    log.withLock { $0.append(request) }
    let reply = answer(request)
    var headers = reply.headers
    if headers["Content-Length"] == nil { headers["Content-Length"] = "\(reply.body.count)" }
    headers["Connection"] = "close"
    var head = "HTTP/1.1 \(reply.status) Whatever\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    Self.send(Array("\(head)\r\n".utf8)[...], to: connection)
    guard request.method != "HEAD" else { return }
    Self.send(reply.body.prefix(reply.cut ?? .max), to: connection)
    while reply.hangs, !isOver.load(ordering: .relaxed) { usleep(10_000) }
  }

  private static func request(from connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let count = unsafe buffer.withUnsafeMutableBytes { buffer in
        unsafe read(connection, buffer.baseAddress, buffer.count)
      }
      guard count > 0 else { return nil }
      bytes += buffer.prefix(count)
    }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ").map(String.init)
    guard words.count == 3 else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] =
        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return Request(method: words[0], target: words[1], headers: headers)
  }

  private static func send(_ bytes: ArraySlice<UInt8>, to connection: Int32) {
    var rest = bytes
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe write(connection, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}
