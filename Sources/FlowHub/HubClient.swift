internal import FlowModels
internal import Foundation
internal import StreamFlow

#if canImport(FoundationNetworking)
  internal import FoundationNetworking
#endif

/// Sends requests to a hub and follows redirects; the token is sent to the hub only.
struct HubClient: Sendable {
  let access: HubAccess
  let model: HubModelName
  let revision: String
  let http: HTTPClient

  static let redirectLimit = 5

  /// The address of a revision's file list.
  var listingAddress: String {
    "\(access.endpoint)/api/models/\(model)/revision/\(Self.escaped(revision))?blobs=true"
  }

  /// The address of a file at a commit.
  func address(of path: String, at commit: String) -> String {
    let parts = path.split(separator: "/").map { Self.escaped(String($0)) }
    return "\(access.endpoint)/\(model)/resolve/\(commit)/\(parts.joined(separator: "/"))"
  }

  /// Sends a request, and repeats it at the target of a redirect.
  ///
  /// - Parameters:
  ///   - method: `GET` or `HEAD`.
  ///   - address: the hub's address.
  ///   - range: the first byte that is requested, if not 0.
  ///   - receiver: receives the body of a successful response.
  ///   - inspect: sees each of the hub's own responses, including redirects; returning true stops
  ///     there.
  /// - Returns: the last response, whatever its status.
  func send(
    _ method: String = "GET", to address: String, from range: Int? = nil,
    receiver: some ResponseReceiver, inspect: (ResponseHead) throws -> Bool = { _ in false }
  ) async throws -> ResponseHead {
    guard var url = URL(string: address) else {
      throw HubError(.requestInvalid, "'\(address)' is not a valid address")
    }
    for _ in 0...Self.redirectLimit {
      let head = try await http.send(
        request(method, url, from: range), to: receiver)
      if Origin(url) == access.origin, try inspect(head) { return head }
      guard [301, 302, 303, 307, 308].contains(head.status) else { return head }
      url = try target(of: head, from: url)
    }
    throw HubError(
      .answerInvalid,
      "'\(address)' redirects more than \(Self.redirectLimit) times; check HF_ENDPOINT")
  }

  private func request(_ method: String, _ url: URL, from range: Int?) -> URLRequest {
    var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData)
    request.httpMethod = method
    request.setValue("streamflow", forHTTPHeaderField: "User-Agent")
    // The hash is that of the file, not of a compressed form.
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    if let range { request.setValue("bytes=\(range)-", forHTTPHeaderField: "Range") }
    if let token = access.token, Origin(url) == access.origin {
      request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
    }
    return request
  }

  func target(of head: ResponseHead, from url: URL) throws(HubError) -> URL {
    let location = head["Location"]
    guard let location, let target = URL(string: location, relativeTo: url)?.absoluteURL,
      let origin = Origin(target)
    else {
      throw HubError(
        .answerInvalid,
        "'\(url.absoluteString)' redirects to '\(location ?? "")', which is not an HTTP address")
    }
    guard target.user == nil, target.password == nil else {
      throw HubError(
        .answerInvalid,
        "'\(url.absoluteString)' redirects to '\(origin.host)' with a user name or password in the "
          + "address; refused")
    }
    guard url.scheme?.lowercased() != "https" || origin.scheme == "https" else {
      throw HubError(
        .answerInvalid,
        "'\(url.absoluteString)' redirects to unencrypted '\(origin.host)'; refused")
    }
    return target.withLowercaseScheme
  }

  /// The error for an unsuccessful response; throws it if the failure is transient.
  ///
  /// - Parameter path: the requested file, or nil for the file list.
  func failure(_ head: ResponseHead, of path: String?) -> any Error {
    let what = path.map { "'\($0)'" } ?? "the list of files"
    let host = head.url.host() ?? access.endpoint
    switch head.status {
    case 408, 425, 429, 500...599:
      return TransientFailure(
        reason: "\(host) answered \(head.status)",
        retryAfter: RetryPolicy.retryAfter(head["Retry-After"]))
    case 401, 403:
      guard Origin(head.url) == access.origin else {
        return HubError(
          .accessDenied, "\(host), where the hub keeps \(what), refuses it (\(head.status))")
      }
      let token =
        access.token == nil
        ? "no token was sent: set HF_TOKEN to one of your account that may read it"
        : "the token that was sent (HF_TOKEN, or the token file) may not read it"
      return HubError(
        .accessDenied,
        "\(host) refuses \(what) of '\(model)' (\(head.status)): the model is private, gated or "
          + "not there; accept its terms at \(access.endpoint)/\(model); \(token)")
    case 404:
      let isRevision = head["X-Error-Code"] == "RevisionNotFound"
      let subject = path.map { "'\($0)' of '\(model)' at revision '\(revision)'" } ?? "'\(model)'"
      return HubError(
        .notFound,
        isRevision
          ? "'\(model)' has no revision '\(revision)' at \(access.endpoint); check the revision"
          : "there is no \(subject) at \(access.endpoint); check the name and the revision, and set "
            + "HF_TOKEN if it is private", settings: isRevision ? [.revision] : [])
    default:
      return HubError(.answerInvalid, "\(host) answered \(head.status) to the request for \(what)")
    }
  }

  /// A text escaped as one path component.
  static func escaped(_ text: String) -> String {
    text.utf8.map { byte in
      switch byte {
      case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        String(UnicodeScalar(byte))
      default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }.joined()
  }
}
