internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// What a client is told went wrong, in the shape of OpenAI's API.
struct ServerError: Error, Sendable {
  /// The status.
  let status: HTTPResponse.Status
  /// The failure in words, with the values that clashed and how to mend it.
  let message: String
  /// The parameter that was wrong, if it was one.
  var parameter: String?
  /// A word for programs.
  let code: String
  /// When to try again, in seconds.
  var retryAfter: Int?

  init(
    _ status: HTTPResponse.Status, _ code: String, _ message: String, parameter: String? = nil,
    retryAfter: Int? = nil
  ) {
    self.status = status
    self.message = message
    self.parameter = parameter
    self.code = code
    self.retryAfter = retryAfter
  }

  static func invalid(_ message: String, parameter: String? = nil) -> ServerError {
    ServerError(.badRequest, "invalid_value", message, parameter: parameter)
  }

  /// The server takes nothing more.
  static let stopping = ServerError(
    .serviceUnavailable, "shutting_down", "the server is about to stop; try again", retryAfter: 10)

  /// The code of a body in a content encoding that is not supported.
  static let contentEncodingCode = "content_encoding_unsupported"

  /// JSON that was refused.
  ///
  /// - Parameters:
  ///   - error: why.
  ///   - what: what holds it: the body, or a parameter in quotes.
  ///   - parameter: the parameter, if it is one.
  static func json(
    _ error: JSONError, of what: String, parameter: String? = nil
  ) -> ServerError {
    switch error {
    case .tooLarge:
      ServerError(
        .contentTooLarge, "body_too_large", "\(what) \(error.message)", parameter: parameter)
    case .tooDeep, .tooManyValues:
      ServerError(
        .badRequest, "json_too_complex", "\(what) \(error.message)", parameter: parameter)
    case .syntax, .repeatedName:
      ServerError(
        .badRequest, "invalid_json", "\(what) \(error.message)", parameter: parameter)
    }
  }

  static func notFound(_ what: String) -> ServerError {
    ServerError(.notFound, "not_found", what)
  }

  static func code(of status: HTTPResponse.Status) -> String {
    switch status {
    case .notFound: "not_found"
    case .methodNotAllowed: "method_not_allowed"
    case .contentTooLarge: "body_too_large"
    default: "http_\(status.code)"
    }
  }

  /// Whether the server's log says more: what failed is for whoever runs the server to mend.
  var isLogged: Bool {
    status.code == 500 || status == .insufficientStorage || code == Self.modelCode
      || code == Self.engineCode
  }

  /// The kind of failure in OpenAI's words.
  var kind: String {
    switch status.code {
    case 401, 403: "authentication_error"
    case 429: "rate_limit_error"
    case 500...: "server_error"
    default: "invalid_request_error"
    }
  }

  /// The body.
  var body: ErrorBody {
    ErrorBody(
      error: ErrorBody.Content(
        message: message, type: kind, param: parameter, code: code))
  }

  /// The answer.
  var response: Response {
    var response = Response.json(body, status: status)
    if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
    if code == Self.contentEncodingCode { response.headers[.acceptEncoding] = "identity" }
    if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
    if status == .upgradeRequired {
      response.headers[.upgrade] = "websocket"
      if let name = HTTPField.Name.webSocketVersion {
        response.headers[name] = SocketHandshake.version
      }
    }
    return response
  }
}

/// An error as it is written.
struct ErrorBody: Encodable, Sendable {
  struct Content: Encodable, Sendable {
    let message: String
    let type: String
    let param: String?
    let code: String

    // Absent parameters are null, as OpenAI writes them.
    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode(message, forKey: .message)
      try container.encode(type, forKey: .type)
      try container.encode(param, forKey: .param)
      try container.encode(code, forKey: .code)
    }

    private enum Keys: CodingKey { case message, type, param, code }
  }

  let error: Content
}

extension HTTPField.Name {
  static let retryAfter = HTTPField.Name("Retry-After") ?? .cacheControl
}

extension HTTPResponse.Status {
  /// 507 of WebDAV (RFC 4918): there is no room to store what the request would create.
  static let insufficientStorage = HTTPResponse.Status(
    code: 507, reasonPhrase: "Insufficient Storage")
}
