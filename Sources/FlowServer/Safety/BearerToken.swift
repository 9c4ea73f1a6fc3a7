internal import Foundation

#if canImport(CDispatch)
  // With GRDB loaded, the compiler takes Linux's `stat` for a member of this module.
  internal import CDispatch
#endif

/// The secret token of requests.
///
/// A comparison takes the same time for every request, so that the token cannot be guessed by
/// timing (``ConstantTime``). The token does not appear in messages, nor when it is printed by
/// mistake.
struct BearerToken: Sendable, CustomStringConvertible {
  /// The prefix of the token in a WebSocket's list of subprotocols, the only place where a browser
  /// lets a page put it; the server does not select that subprotocol.
  static let subprotocolPrefix = "bearer."

  /// The permitted number of characters of a token.
  static let lengths = 16...512

  private let secret: [UInt8]

  var description: String { "(a token)" }

  /// Validates a token.
  init(_ text: String) throws(BearerTokenError) {
    guard Self.lengths.contains(text.utf8.count) else {
      throw BearerTokenError(
        "a token must have \(Self.lengths.lowerBound) to \(Self.lengths.upperBound) characters, got "
          + "\(text.utf8.count); 'openssl rand -hex 32' makes one")
    }
    guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw BearerTokenError(
        "a token must be one line of letters, digits and signs without blanks; 'openssl rand -hex "
          + "32' makes one")
    }
    secret = Array(text.utf8)
  }

  /// Reads a token from a file, without surrounding white space and byte-order mark.
  ///
  /// A file that others may read or write is rejected.
  init(file path: String) throws(BearerTokenError) {
    let bytes = try Self.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw BearerTokenError("the token file '\(path)' is empty")
    }
    do {
      let around = CharacterSet.whitespacesAndNewlines.union(["\u{feff}"])
      try self.init(text.trimmingCharacters(in: around))
    } catch {
      throw BearerTokenError("the token file '\(path)': \(error.message)")
    }
  }

  /// Whether an `Authorization` header contains the token.
  func matches(authorization: String?) -> Bool {
    let words = (authorization ?? "").utf8.split(separator: UInt8(ascii: " "), maxSplits: 1)
    guard words.count == 2, String(words[0])?.lowercased() == "bearer" else { return false }
    return matches(words[1].drop { $0 == UInt8(ascii: " ") })
  }

  /// Whether a `Sec-WebSocket-Protocol` header contains the token, as `bearer.TOKEN` in its list.
  func matches(subprotocols: String?) -> Bool {
    (subprotocols ?? "").split(separator: ",")
      .map { $0.trimmingCharacters(in: .whitespaces) }
      .contains {
        $0.hasPrefix(Self.subprotocolPrefix)
          && matches($0.utf8.dropFirst(Self.subprotocolPrefix.utf8.count))
      }
  }

  private func matches(_ candidate: some Sequence<UInt8>) -> Bool {
    ConstantTime.areEqual(Array(candidate), secret, paddedTo: Self.lengths.upperBound)
  }

  private static func read(_ path: String) throws(BearerTokenError) -> Data {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(path, unsafe String(cString: strerror(errno))) }
    let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0 else {
      throw .unreadable(path, unsafe String(cString: strerror(errno)))
    }
    guard information.st_mode & S_IFMT != S_IFDIR else { throw .unreadable(path, "it is a folder") }
    guard information.st_mode & 0o077 == 0 else {
      throw BearerTokenError(
        "the token file '\(path)' is open to others (mode "
          + "\(String(information.st_mode & 0o777, radix: 8))); run: chmod 600 '\(path)'")
    }
    do {
      let data = try file.read(upToCount: 4096) ?? Data()
      guard data.count < 4096 else { throw BearerTokenError.unreadable(path, "it is too long") }
      return data
    } catch let error as BearerTokenError { throw error } catch {
      throw .unreadable(path, error.localizedDescription)
    }
  }
}

/// An error in a token or its file.
struct BearerTokenError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The message with a remedy.
  let message: String

  init(_ message: String) { self.message = message }

  var description: String { message }

  static func unreadable(_ path: String, _ reason: String) -> BearerTokenError {
    BearerTokenError("cannot read the token file '\(path)': \(reason)")
  }
}
