internal import FlowEngine
internal import FlowMedia
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import StreamFlow

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

  /// The server's end of it: any failure as what a client is told.
  init(_ error: any Error) {
    switch error {
    case let error as ServerError: self = error
    case let error as ModelError:
      switch error.code {
      case .requestInvalid: self = .invalid(error.message)
      case .memoryInsufficient:
        self = ServerError(.serviceUnavailable, "out_of_memory", error.message, retryAfter: 10)
      case .notFinite: self = ServerError(.internalServerError, "not_finite", error.message)
      case .unsupported: self = ServerError(.badRequest, "unsupported", error.message)
      case .fileMissing, .fileInvalid:
        self = ServerError(
          .serviceUnavailable, "model_unavailable",
          "the model cannot be loaded; the server's log says why", retryAfter: 60)
      }
    case let error as MediaError where error.code == .pictureTooLarge:
      self = ServerError(.contentTooLarge, "picture_too_large", error.message)
    case let error as MediaError where error.code == .formatUnsupported:
      self = ServerError(.unsupportedMediaType, "picture_unsupported", error.message)
    case let error as MediaError:
      self = ServerError(.badRequest, "picture_invalid", error.message)
    case let error as MultipartError: self = .invalid(error.message)
    case let error as ResultStoreError where error.code == .diskFull:
      // Its words name a folder of the server's, which is nobody's business.
      self = ServerError(
        .insufficientStorage, "disk_full",
        "the server has no room for the picture; ask for b64_json instead of url")
    case is CancellationError:
      self = ServerError(.serviceUnavailable, "cancelled", "the request was given up")
    case let error as HTTPError:
      self = ServerError(
        error.status, Self.code(of: error.status),
        error.body ?? "\(error.status.code) \(error.status.reasonPhrase)")
    default:
      self = ServerError(
        .internalServerError, "internal_error", "something failed; the server's log says what")
    }
  }

  private static func code(of status: HTTPResponse.Status) -> String {
    switch status {
    case .notFound: "not_found"
    case .methodNotAllowed: "method_not_allowed"
    case .contentTooLarge: "body_too_large"
    default: "http_\(status.code)"
    }
  }

  /// Whether the server is at fault.
  var isInternal: Bool { status.code == 500 }

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
