internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// An error for clients, in the format of OpenAI's API.
package struct ServerError: Error, Sendable {
  /// The status.
  let status: HTTPResponse.Status
  /// The message, with the conflicting values and a remedy.
  package let message: String
  /// The invalid parameter, if any.
  var parameter: String?
  /// A code for programs.
  package let code: String
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

  /// The server accepts no further requests.
  package static let stopping = ServerError(
    .serviceUnavailable, "shutting_down", "the server is stopping; try again", retryAfter: 10)

  /// Nobody is there to make images.
  package static let noWorkers = ServerError(
    .serviceUnavailable, "no_workers", "no worker has joined yet; try again in a moment",
    retryAfter: 5)

  /// The code for a body with an unsupported content encoding.
  static let contentEncodingCode = "content_encoding_unsupported"

  /// Creates an error for rejected JSON.
  ///
  /// - Parameters:
  ///   - error: the reason.
  ///   - what: the location of the JSON: the body, or a quoted parameter.
  ///   - parameter: the parameter, if any.
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

  /// Whether the server's log has details: the failure is the operator's to fix.
  var isLogged: Bool {
    status.code == 500 || status == .insufficientStorage || code == Self.modelCode
      || code == Self.engineCode
  }

  /// The kind of failure in OpenAI's terms.
  var kind: String {
    switch status.code {
    case 401, 403: "authentication_error"
    case 429: "rate_limit_error"
    case 500...: "server_error"
    default: "invalid_request_error"
    }
  }

  /// The body of the response.
  var body: ErrorBody {
    ErrorBody(
      error: ErrorBody.Content(
        message: message, type: kind, param: parameter, code: code))
  }

  /// The response.
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

/// An error in the form of the API.
struct ErrorBody: Encodable, Sendable {
  struct Content: Encodable, Sendable {
    let message: String
    let type: String
    let param: String?
    let code: String

    // Absent parameters are null, as in OpenAI's API.
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
  /// 507 of WebDAV (RFC 4918): insufficient storage for the result.
  static let insufficientStorage = HTTPResponse.Status(
    code: 507, reasonPhrase: "Insufficient Storage")
}
