internal import FlowDigest
internal import Foundation

/// Files in a stream, in the layout that NATS's own clients read and write: chunks under a subject of
/// their own, and a record with the size and hash that is written last, so that half a file is none.
public struct ObjectStore: Sendable {
  private let stream: JetStream
  private let bucket: String
  private var name: String { "OBJ_\(bucket)" }

  /// The bytes of a chunk.
  static let chunkByteCount = 128 << 10

  /// The record of a file.
  struct Record: Codable {
    struct Options: Codable { var max_chunk_size: Int? }
    var name: String
    var bucket: String
    var nuid: String
    var size: Int
    var chunks: Int
    var digest: String?
    var deleted: Bool?
    var options: Options?
  }

  /// A bucket of files.
  public init(_ stream: JetStream, bucket: String) { (self.stream, self.bucket) = (stream, bucket) }

  /// The stream of a bucket.
  ///
  /// - Parameters:
  ///   - bucket: its name.
  ///   - byteCount: the most bytes that it holds; it refuses more.
  ///   - lifetime: how long files stay.
  public static func configuration(
    bucket: String, byteCount: Int, lifetime: Duration
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(
      "OBJ_\(bucket)", subjects: ["$O.\(bucket).C.>", "$O.\(bucket).M.>"])
    configuration.discard = .new
    configuration.max_bytes = byteCount
    configuration.max_age = lifetime.nanoseconds
    configuration.allow_rollup_hdrs = true
    return configuration
  }

  private func chunkSubject(_ id: String) -> String { "$O.\(bucket).C.\(id)" }

  private func recordSubject(_ name: String) -> String {
    "$O.\(bucket).M.\(Self.base64(Array(name.utf8)))"
  }

  private static func base64(_ bytes: some Sequence<UInt8>) -> String {
    Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
  }

  private static func digest(_ bytes: [UInt8]) throws -> String {
    "SHA-256=\(base64(try MessageDigest.sha256(of: bytes).bytes))"
  }

  /// Stores a file, in place of one of that name.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - name: its name.
  ///   - isNew: whether the name is known to be new, so that no file of that name is looked for.
  /// - Throws: `full` where the bucket takes no more.
  public func put(_ bytes: [UInt8], as name: String, isNew: Bool = false) async throws {
    let old = isNew ? nil : try await record(name)
    let id = NATSName.random()
    let chunkByteCount = min(Self.chunkByteCount, stream.connection.maximumPayload)
    var count = 0
    do {
      for start in stride(from: 0, to: bytes.count, by: chunkByteCount) {
        let chunk = Array(bytes[start..<min(start + chunkByteCount, bytes.count)])
        try await stream.publish(NATSMessage(chunkSubject(id), payload: chunk))
        count += 1
      }
      let record = Record(
        name: name, bucket: bucket, nuid: id, size: bytes.count, chunks: count,
        digest: try Self.digest(bytes), options: Record.Options(max_chunk_size: chunkByteCount))
      try await stream.publish(
        NATSMessage(
          recordSubject(name), headers: ["Nats-Rollup": "sub"],
          payload: Array(try JSONEncoder().encode(record))))
    } catch {
      // The chunks of a file that has no record; those that stay go with their age.
      try? await stream.purge(chunkSubject(id), of: self.name)
      throw error
    }
    if let old, old.deleted != true {
      try? await stream.purge(chunkSubject(old.nuid), of: self.name)
    }
  }

  private func record(_ name: String) async throws -> Record? {
    guard let message = try await stream.last(recordSubject(name), of: self.name) else {
      return nil
    }
    do { return try JSONDecoder().decode(Record.self, from: Data(message.payload)) } catch {
      throw NATSError(
        .damaged, "the record of '\(name)' in '\(bucket)' is not understood: \(error)")
    }
  }

  /// A file; nil where there is none.
  ///
  /// - Throws: `damaged` where it is cut short, or its bytes are not those that were stored.
  public func get(_ name: String, limit: Int = 1 << 30) async throws -> [UInt8]? {
    guard let record = try await record(name), record.deleted != true else { return nil }
    guard (0...limit).contains(record.size) else {
      throw NATSError(
        .tooLarge, "'\(name)' in '\(bucket)' has \(record.size) bytes, at most \(limit) are taken")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(record.size)
    var sequence: UInt64 = 1
    for number in 0..<max(record.chunks, 0) {
      guard
        let chunk = try await stream.next(
          chunkSubject(record.nuid), from: sequence, of: self.name),
        bytes.count + chunk.payload.count <= record.size
      else {
        throw NATSError(
          .damaged,
          "'\(name)' in '\(bucket)' is not whole: chunk \(number + 1) of \(record.chunks) is missing "
            + "or too long")
      }
      bytes += chunk.payload
      sequence = chunk.sequence + 1
    }
    guard bytes.count == record.size else {
      throw NATSError(
        .damaged,
        "'\(name)' in '\(bucket)' is cut short: \(bytes.count) bytes of \(record.size)")
    }
    if let digest = record.digest {
      let actual = try Self.digest(bytes)
      guard actual == digest else {
        throw NATSError(
          .damaged,
          "'\(name)' in '\(bucket)' was changed: its hash is \(actual), expected \(digest)")
      }
    }
    return bytes
  }

  /// Removes a file without a trace; nothing where there is none.
  public func remove(_ name: String) async throws {
    guard let record = try await record(name) else { return }
    try await stream.purge(recordSubject(name), of: self.name)
    try await stream.purge(chunkSubject(record.nuid), of: self.name)
  }
}
