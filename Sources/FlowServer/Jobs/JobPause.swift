internal import Foundation
internal import GRDB
internal import HTTPTypes

/// Why a job waits, or that it cannot go on.
enum JobPause {
  /// Whether reading or writing failed for a reason that may pass: no room, or a disk that does not work.
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

  /// Such a failure as clients see it.
  ///
  /// The paths in the failure itself are for the log only.
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
        "the server's disk is full; the job goes on by itself when there is room, without losing "
          + "finished images")
      : ServerError(
        .insufficientStorage, "storage_unavailable",
        "the server cannot read or write its folder, and its log says why; the job goes on by itself "
          + "when it can")
  }

  /// Whether a job waits for a failure of its model to pass, instead of failing.
  ///
  /// - Parameter isBegun: whether work would be lost: images were made, or the job was accepted by
  ///   an earlier process.
  static func isModelFailure(_ error: ServerError, isBegun: Bool) -> Bool {
    let codes = ["model_not_found", ServerError.modelCode, ServerError.engineCode, "out_of_memory"]
    return isBegun && codes.contains(error.code)
  }
}
