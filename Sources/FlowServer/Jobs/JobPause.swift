internal import Foundation
internal import GRDB
internal import HTTPTypes

/// Decides whether a failure pauses a job or ends it.
enum JobPause {
  /// Whether a storage operation failed with a transient cause, such as a full or failing disk.
  static func isStorageFailure(_ error: any Error) -> Bool {
    switch error {
    case let error as ResultStoreError: error.code != .closed
    case let error as DatabaseError:
      switch error.resultCode {
      case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_READONLY,
        .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_NOMEM:
        true
      default: false
      }
    default: false
    }
  }

  /// A storage failure in the form of the API.
  ///
  /// The paths in the failure itself are only logged.
  static func reason(_ error: any Error) -> ServerError {
    let isFull: Bool =
      switch error {
      case let error as ResultStoreError: error.code == .diskFull
      case let error as DatabaseError: error.resultCode == .SQLITE_FULL
      default: false
      }
    return isFull
      ? ServerError(
        .insufficientStorage, "disk_full",
        "the server's disk is full; the job continues by itself when there is room, without losing "
          + "finished images")
      : ServerError(
        .insufficientStorage, "storage_unavailable",
        "the server cannot read or write its folder, and its log says why; the job continues by itself "
          + "when it can")
  }

  /// Whether a job waits for a model failure to pass instead of failing.
  ///
  /// - Parameter isBegun: whether work would be lost: some images are finished, or a previous
  ///   process accepted the job.
  static func isModelFailure(_ error: ServerError, isBegun: Bool) -> Bool {
    let codes = [
      "model_not_found", ServerError.modelCode, ServerError.engineCode, "out_of_memory",
      ServerError.noWorkers.code,
    ]
    return isBegun && codes.contains(error.code)
  }
}
