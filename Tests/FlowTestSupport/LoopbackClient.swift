internal import Foundation

/// A connection to a server on loopback that says exactly what a test tells it, wrong things too.
public final class LoopbackClient {
  /// An answer.
  public struct Answer: Sendable {
    /// The status.
    public let status: Int
    /// The headers; their names in small letters.
    public let headers: [String: String]
    /// The body, unwrapped from its chunks.
    public let body: [UInt8]
    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// What stands at a path in the JSON body: names, and numbers in arrays.
    public subscript(path: String...) -> Any? {
      var value = try? JSONSerialization.jsonObject(with: Data(body), options: .fragmentsAllowed)
      for name in path {
        if let index = Int(name), let array = value as? [Any] {
          value = array.indices.contains(index) ? array[index] : nil
        } else {
          value = (value as? [String: Any])?[name]
        }
      }
      return value
    }
  }

  /// Why there is no answer.
  public enum Failure: Error {
    case connection, noAnswer([UInt8])
  }

  private let descriptor: Int32
  private var received: [UInt8] = []

  /// Connects.
  ///
  /// - Parameters:
  ///   - port: where.
  ///   - timeout: the maximum seconds that a read waits.
  public init(port: Int, timeout: Int = 60) throws {
    signal(SIGPIPE, SIG_IGN)
    #if canImport(Darwin)
      descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #else
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
    var limit = timeval(tv_sec: timeout, tv_usec: 0)
    unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    place.sin_port = UInt16(port).bigEndian
    let (socket, size) = (descriptor, socklen_t(MemoryLayout<sockaddr_in>.size))
    let status = unsafe withUnsafePointer(to: &place) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(socket, $0, size)
      }
    }
    guard status == 0 else { throw Failure.connection }
  }

  deinit { close(descriptor) }

  /// Sends bytes; a server that has gone is no error.
  public func send(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Sends text.
  public func send(_ text: String) { send(Array(text.utf8)) }

  /// Says that nothing more will be sent.
  public func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Reads more; nil at the end, or after the timeout.
  public func read() -> [UInt8] {
    if !received.isEmpty {
      defer { received = [] }
      return received
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe buffer.withUnsafeMutableBytes { buffer in
      unsafe Foundation.read(descriptor, buffer.baseAddress, buffer.count)
    }
    return count > 0 ? Array(buffer.prefix(count)) : []
  }

  /// Reads until the connection ends, or nothing more comes in time.
  public func readAll() -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let more = read()
      if more.isEmpty { return bytes }
      bytes += more
    }
  }

  /// Reads on until the server closes the connection, and discards what comes.
  ///
  /// - Returns: whether it was closed within the timeout of one read.
  public func isClosed() -> Bool {
    received = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { buffer in
        unsafe Foundation.read(descriptor, buffer.baseAddress, buffer.count)
      }
      guard count <= 0 else { continue }
      return count == 0 || errno == ECONNRESET || errno == EPIPE
    }
  }

  /// Sends a request.
  public func request(
    _ method: String, _ path: String, headers: [String: String] = [:], body: [UInt8]? = nil
  ) {
    var head = "\(method) \(path) HTTP/1.1\r\n"
    var headers = headers
    if headers["Host"] == nil { headers["Host"] = "127.0.0.1" }
    if let body, headers["Content-Length"] == nil { headers["Content-Length"] = "\(body.count)" }
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) { head += "\(name): \(value)\r\n" }
    send(Array("\(head)\r\n".utf8) + (body ?? []))
  }

  /// Reads an answer whole.
  public func answer() throws -> Answer {
    var bytes: [UInt8] = []
    var split: Int?
    while split == nil {
      let more = read()
      guard !more.isEmpty else { throw Failure.noAnswer(bytes) }
      bytes += more
      split = Self.endOfHead(bytes)
    }
    let start = split ?? 0
    let lines = String(decoding: bytes[..<start], as: UTF8.self).components(separatedBy: "\r\n")
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] =
        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    var body = Array(bytes[start...])
    if headers["transfer-encoding"] == "chunked" {
      while !body.suffix(5).elementsEqual("0\r\n\r\n".utf8) {
        let more = read()
        if more.isEmpty { break }
        body += more
      }
      body = Self.unchunked(body)
    } else if let length = headers["content-length"].flatMap({ Int($0) }) {
      while body.count < length {
        let more = read()
        if more.isEmpty { break }
        body += more
      }
      received = Array(body.dropFirst(length))
      body = Array(body.prefix(length))
    }
    return Answer(status: status, headers: headers, body: body)
  }

  /// One request and its answer, on a connection of its own.
  public static func ask(
    _ port: Int, _ method: String, _ path: String, headers: [String: String] = [:],
    body: [UInt8]? = nil
  ) throws -> Answer {
    let client = try LoopbackClient(port: port)
    client.request(method, path, headers: headers, body: body)
    return try client.answer()
  }

  /// One request of JSON and its answer.
  public static func ask(
    _ port: Int, _ method: String, _ path: String, json: String, headers: [String: String] = [:]
  ) throws -> Answer {
    try ask(
      port, method, path,
      headers: headers.merging(["Content-Type": "application/json"]) { $1 },
      body: Array(json.utf8))
  }

  private static func endOfHead(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    return (4...bytes.count).first { bytes[($0 - 4)..<$0].elementsEqual("\r\n\r\n".utf8) }
  }

  private static func unchunked(_ bytes: [UInt8]) -> [UInt8] {
    var (body, rest) = ([UInt8](), bytes[...])
    while let end = rest.firstIndex(of: 13) {
      let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16) ?? 0
      guard size > 0 else { break }
      let start = end + 2
      guard start + size <= rest.endIndex else { break }
      body += rest[start..<start + size]
      rest = rest[min(start + size + 2, rest.endIndex)...]
    }
    return body
  }
}
