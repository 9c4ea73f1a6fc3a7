internal import CNATS
internal import Foundation
internal import Synchronization

/// The NATS client library (libnats) in this process: found and loaded once.
@safe
final class NATSLibrary: Sendable {
  /// The release, such as `3.4.1`.
  let version: String
  // Written once, before this object is shared.
  let functions: nats_functions

  private static let loaded = Mutex<NATSLibrary?>(nil)

  /// How to get the library, for errors.
  private static let remedy =
    "install it with `apt-get install libnats-dev` or `brew install cnats`, run "
    + "`Scripts/setup.sh --nats` in a checkout of StreamFlow, or set STREAMFLOW_NATS to its file"

  /// The library, loaded at the first call.
  ///
  /// - Throws: `libraryMissing` or `libraryUnsupported`, with where it was looked for.
  static func shared() throws(NATSError) -> NATSLibrary {
    let result = loaded.withLock { library in
      Result { () throws(NATSError) -> NATSLibrary in
        if let library { return library }
        let found = try NATSLibrary(
          candidates: candidates(environment: ProcessInfo.processInfo.environment))
        library = found
        return found
      }
    }
    return try result.get()
  }

  init(candidates: [String]) throws(NATSError) {
    var problems: [String] = []
    var unsupported: NATSError?
    let found = unsafe withUnsafeTemporaryAllocation(of: nats_functions.self, capacity: 1) {
      table -> (nats_functions, String)? in
      guard let base = table.baseAddress else { return nil }
      for candidate in candidates {
        var words: UnsafePointer<CChar>?
        let result = unsafe nats_load(candidate, base, &words)
        let text = unsafe words.map { unsafe String(cString: $0) } ?? ""
        switch result {
        case CNATS_LOADED: return unsafe (base.pointee, text)
        case CNATS_UNSUPPORTED:
          unsupported =
            unsupported
            ?? NATSError(
              .libraryUnsupported,
              "'\(candidate)' is NATS client \(text), expected 3.x; \(Self.remedy)")
        default: problems.append(text)
        }
      }
      return nil
    }
    guard let found else {
      throw unsupported
        ?? NATSError(
          .libraryMissing,
          "the NATS client library was not found; \(Self.remedy) (\(problems.first ?? ""))")
    }
    (functions, version) = found
  }

  /// What to hand to the loader, best first; a bare name is looked up in the loader's own path.
  ///
  /// A file that `STREAMFLOW_NATS` names is the only one tried.
  static func candidates(environment: [String: String]) -> [String] {
    if let file = environment["STREAMFLOW_NATS"], !file.isEmpty { return [file] }
    #if canImport(Darwin)
      // No bare name: the loader would also look in the working directory, which others may write to.
      return ["/opt/homebrew/lib/libnats.dylib", "/usr/local/lib/libnats.dylib"]
    #else
      // The name without a number belongs to the development package; the run-time package names
      // the minor release.
      return ["libnats.so"] + (0...20).reversed().map { "libnats.so.3.\($0)" }
    #endif
  }

  /// Makes a call, and throws its words where it failed.
  func check(_ status: natsStatus, _ action: @autoclosure () -> String) throws(NATSError) {
    if let error = failure(status, action()) { throw error }
  }

  /// What failed in a call, if anything.
  func failure(_ status: natsStatus, _ action: @autoclosure () -> String) -> NATSError? {
    guard status != natsStatus(CNATS_OK) else { return nil }
    var last: natsStatus = 0
    let detail = unsafe functions.nats_GetLastError(&last).map { unsafe String(cString: $0) } ?? ""
    let general =
      unsafe functions.natsStatus_GetText(status).map { unsafe String(cString: $0) }
      ?? "status \(status)"
    let words = last == status && !detail.isEmpty ? detail : general
    let code: NATSError.Code =
      switch status {
      case natsStatus(CNATS_NO_SERVER), natsStatus(CNATS_SECURE_CONNECTION_WANTED),
        natsStatus(CNATS_SECURE_CONNECTION_REQUIRED), natsStatus(CNATS_SSL_ERROR):
        .unreachable
      case natsStatus(CNATS_CONNECTION_AUTH_FAILED), natsStatus(CNATS_NOT_PERMITTED): .notAuthorized
      case natsStatus(CNATS_TIMEOUT): .timeout
      case natsStatus(CNATS_CONNECTION_CLOSED): .closed
      case natsStatus(CNATS_MAX_PAYLOAD): .tooLarge
      default: .callFailed
      }
    return NATSError(code, "cannot \(action()): \(words)")
  }
}
