internal import Hummingbird
internal import NIOCore

extension Request {
  /// The whole body, within a bound of bytes and of time.
  mutating func bytes(_ limits: ServerLimits) async throws -> [UInt8] {
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > limits.bodyByteCount {
      throw Self.tooLarge(limits)
    }
    let body = body
    let buffer: ByteBuffer
    do {
      buffer = try await within(
        limits.readTime,
        else: ServerError(
          .requestTimeout, "read_timeout",
          "the body did not come in within \(limits.readTime.components.seconds) s")
      ) {
        try await body.collect(upTo: limits.bodyByteCount)
      }
    } catch is NIOTooManyBytesError { throw Self.tooLarge(limits) } catch let error as HTTPError
      where error.status == .contentTooLarge
    { throw Self.tooLarge(limits) }
    self.body = RequestBody(buffer: buffer)
    return Array(buffer.readableBytesView)
  }

  private static func tooLarge(_ limits: ServerLimits) -> ServerError {
    ServerError(
      .contentTooLarge, "body_too_large",
      "a body is \(limits.bodyByteCount) bytes at most (--max-body)")
  }

  /// The parameters of a JSON body.
  mutating func fields(_ limits: ServerLimits) async throws -> RequestFields {
    if let type = headers[.contentType], !type.lowercased().hasPrefix("application/json") {
      throw ServerError(
        .unsupportedMediaType, "content_type_unsupported",
        "the body must be application/json, got '\(type.prefix(80))'")
    }
    return try RequestFields(json: try await bytes(limits))
  }

  /// The parts of a form.
  mutating func form(_ limits: ServerLimits) async throws -> MultipartForm {
    let type = headers[.contentType] ?? ""
    guard type.lowercased().hasPrefix("multipart/form-data") else {
      throw ServerError(
        .unsupportedMediaType, "content_type_unsupported",
        "the body must be multipart/form-data, got '\(type.prefix(80))'")
    }
    return try MultipartForm(try await bytes(limits), contentType: type)
  }
}

/// Does some work within a time.
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
