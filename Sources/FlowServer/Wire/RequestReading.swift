internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

extension Request {
  /// The whole body, within a size limit; the connection limits the time.
  ///
  /// - Parameters:
  ///   - limit: the maximum number of bytes.
  ///   - context: sends `100 Continue`, and is charged with the memory as the body arrives.
  mutating func bytes(
    upTo limit: Int, _ context: ServerContext
  ) async throws -> [UInt8] {
    try checkContentEncoding()
    let tooLarge = ServerError(
      .contentTooLarge, "body_too_large", "the body is limited to \(limit) bytes")
    // A length beyond the range of Int is too large as well.
    if let length = headers[.contentLength], Int(length) ?? .max > limit { throw tooLarge }
    context.acceptBody()
    var bytes: [UInt8] = []
    do {
      for try await buffer in body {
        guard bytes.count + buffer.readableBytes <= limit else { throw tooLarge }
        try context.memory?.grow(by: buffer.readableBytes)
        bytes.append(contentsOf: buffer.readableBytesView)
      }
    } catch let error as HTTPError where error.status == .contentTooLarge { throw tooLarge }
    body = RequestBody(buffer: ByteBuffer())
    return bytes
  }

  /// Checks that the body has no content encoding (RFC 9110, section 8.4).
  private func checkContentEncoding() throws(ServerError) {
    let codings = headers[values: .contentEncoding].flatMap { $0.split(separator: ",") }
      .map { $0.trimmingCharacters(in: .whitespaces) }
    let other = codings.first { !$0.isEmpty && $0.lowercased() != "identity" }
    guard let other else { return }
    throw ServerError(
      .unsupportedMediaType, ServerError.contentEncodingCode,
      "the content encoding '\(other.prefix(80))' is not supported; send the body uncompressed, "
        + "without the header 'Content-Encoding'")
  }

  /// The parameters of a JSON body.
  mutating func fields(
    _ limits: ServerLimits, _ context: ServerContext
  ) async throws -> RequestFields {
    try RequestFields(json: try await jsonBytes(limits, context), limits: limits.json)
  }

  /// The bytes of a JSON body.
  mutating func jsonBytes(
    _ limits: ServerLimits, _ context: ServerContext
  ) async throws -> [UInt8] {
    if let type = headers[.contentType], !type.lowercased().hasPrefix("application/json") {
      throw ServerError(
        .unsupportedMediaType, "content_type_unsupported",
        "the body must be JSON with the header 'Content-Type: application/json', got "
          + "'\(type.prefix(80))'")
    }
    let bytes = try await bytes(upTo: limits.json.byteCount, context)
    // The parsed values are a copy, and the files that they contain another one.
    if bytes.count > 64 << 10 { try context.memory?.grow(by: 2 * bytes.count) }
    return bytes
  }

  /// The parts of a form.
  mutating func form(
    _ limits: ServerLimits, _ context: ServerContext
  ) async throws -> MultipartForm {
    let type = headers[.contentType] ?? ""
    guard type.lowercased().hasPrefix("multipart/form-data") else {
      throw ServerError(
        .unsupportedMediaType, "content_type_unsupported",
        "the body must be multipart/form-data, or JSON with images in base64, got "
          + "'\(type.prefix(80))'")
    }
    return try MultipartForm(
      try await bytes(upTo: limits.bodyByteCount, context), contentType: type)
  }
}

/// Runs work with a time limit.
func within<Result: Sendable>(
  _ time: Duration, else error: ServerError,
  _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await withThrowingTaskGroup(of: Result.self) { group in
    group.addTask { try await work() }
    group.addTask {
      try await Task.sleep(for: time)
      throw error
    }
    defer { group.cancelAll() }
    guard let result = try await group.next() else { throw error }
    return result
  }
}
