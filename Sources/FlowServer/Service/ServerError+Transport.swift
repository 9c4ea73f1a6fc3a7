internal import HTTPTypes

/// Errors between hosts: a worker's reaches the client as it would from this process.
extension ServerError: Codable {
  private enum CodingKeys: String, CodingKey { case status, code, message, parameter, retryAfter }

  /// Creates an error with a status's number.
  package init(
    status: Int, code: String, message: String, parameter: String? = nil, retryAfter: Int? = nil
  ) {
    self.init(
      HTTPResponse.Status(code: (400...599).contains(status) ? status : 500), code, message,
      parameter: parameter, retryAfter: retryAfter)
  }

  /// Reads an error.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      status: try container.decode(Int.self, forKey: .status),
      code: try container.decode(String.self, forKey: .code),
      message: try container.decode(String.self, forKey: .message),
      parameter: try container.decodeIfPresent(String.self, forKey: .parameter),
      retryAfter: try container.decodeIfPresent(Int.self, forKey: .retryAfter))
  }

  /// Writes an error.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(status.code, forKey: .status)
    try container.encode(code, forKey: .code)
    try container.encode(message, forKey: .message)
    try container.encodeIfPresent(parameter, forKey: .parameter)
    try container.encodeIfPresent(retryAfter, forKey: .retryAfter)
  }

  /// Whether another try of the same request may succeed elsewhere: the host is at fault, not the
  /// request.
  package var isOfHost: Bool { status.code >= 500 && code != "not_finite" }

  /// Whether one image failed by itself, and others of the order need not.
  package var isOfOneImage: Bool { code == "not_finite" }
}
