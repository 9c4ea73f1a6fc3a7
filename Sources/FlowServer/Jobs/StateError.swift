/// Why a folder cannot be used for the server's state.
struct StateError: Error, Equatable, Sendable, CustomStringConvertible {
  enum Code: Sendable, CaseIterable {
    /// The folder cannot be created, read or written.
    case folderUnusable
    /// Another process uses the folder.
    case inUse
    /// The database is damaged.
    case damaged
    /// The database belongs to another program.
    case foreign
    /// The database was written by a newer version.
    case newer
  }

  /// The kind of failure, for programmatic handling.
  let code: Code
  /// The message with a remedy.
  let message: String

  var description: String { message }
}
