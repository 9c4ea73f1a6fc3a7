public import FlowModels
internal import Foundation

/// The earlier starter, of 64-pixel images, which tests use.
///
/// Golden files hold its images. It stays as it is when the embedded starter changes.
public enum Starter64 {
  /// Its folder.
  public static let folder = Bundle.module.fixture("starter-64")
}

extension Checkpoint {
  /// Opens the earlier starter under the name `starter`, as `STREAMFLOW_STARTER` does.
  ///
  /// - Throws: a `ModelError` if its folder is missing or damaged.
  public static func starter64() throws(ModelError) -> Checkpoint {
    try Checkpoint(folder: Starter64.folder, name: "starter")
  }
}
