internal import Foundation
internal import HTTPTypes
internal import NIOHTTP1

/// The handshake of a WebSocket (RFC 6455, section 4.2.1).
enum SocketHandshake {
  /// The version of the protocol.
  static let version = "13"

  /// Whether a request is a handshake that can be completed.
  static func isComplete(_ head: HTTPRequestHead) -> Bool {
    func has(_ name: String, _ token: String) -> Bool {
      head.headers[canonicalForm: name].contains { $0.lowercased() == token }
    }
    let (keys, versions) = (
      head.headers["sec-websocket-key"], head.headers["sec-websocket-version"]
    )
    return head.method == .GET && !head.version.isBefore1_1 && has("upgrade", "websocket")
      && has("connection", "upgrade") && versions == [version] && keys.count == 1
      && isKey(keys[0]) && !head.headers.contains(name: "transfer-encoding")
      && head.headers["content-length"].allSatisfy { $0 == "0" }
  }

  /// A key is 16 bytes in base64.
  private static func isKey(_ text: String) -> Bool { Data(base64Encoded: text)?.count == 16 }

  /// The reason why a WebSocket request was answered over HTTP.
  static func refusal(of headers: HTTPFields) -> ServerError {
    let key = HTTPField.Name("Sec-WebSocket-Key").flatMap { headers[$0] }
    let offered = HTTPField.Name.webSocketVersion.flatMap { headers[$0] }
    guard key != nil, offered == version else {
      return ServerError(
        .upgradeRequired, "upgrade_required",
        "this is a WebSocket of version \(version); open it with a WebSocket client, at the start "
          + "of a connection")
    }
    return ServerError(
      .badRequest, "handshake_invalid",
      "the WebSocket handshake is incomplete; expected 'Upgrade: websocket', 'Connection: Upgrade' "
        + "and a 'Sec-WebSocket-Key' of 16 bytes in base64, at the start of a connection")
  }
}

extension HTTPResponse.Status {
  static let upgradeRequired = Self(code: 426, reasonPhrase: "Upgrade Required")
}

extension HTTPField.Name {
  static let webSocketVersion = Self("Sec-WebSocket-Version")
}
