public import Foundation

/// The name of a model on a hub: `org/name`.
public struct HubModelName: Hashable, Sendable, CustomStringConvertible {
  /// The owner of the model.
  public let organization: String
  /// The model's own name.
  public let name: String

  /// Parses `org/name`; nil if the text is not such a name.
  ///
  /// Each part has 1 to 96 ASCII letters, digits, `.`, `_` and `-`, does not begin or end with `.`
  /// or `-`, and contains no `..` or `--`. By these rules of the hub, a name corresponds to one
  /// folder.
  public init?(_ text: String) {
    let halves = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard halves.count == 2, halves.allSatisfy(Self.isHalf) else { return nil }
    (organization, name) = (halves[0], halves[1])
  }

  /// The full name: `org/name`.
  public var description: String { "\(organization)/\(name)" }

  private static func isHalf(_ text: String) -> Bool {
    guard (1...96).contains(text.utf8.count), HubCache.isFileName(text) else { return false }
    return !text.contains("..") && !text.contains("--") && !text.contains("+")
      && [text.first, text.last].allSatisfy { $0 != "." && $0 != "-" }
  }
}

/// The cache of downloaded models that Hugging Face's tools share.
///
/// `models--org--name/` contains `blobs/<etag>`, `snapshots/<commit>/<path>` as links to blobs, and
/// `refs/<revision>` with a commit as text.
public struct HubCache: Equatable, Sendable {
  /// The folder of the repositories.
  public let folder: String
  /// The file of the user's token, which may not exist.
  public let tokenPath: String

  /// Locates the cache like Hugging Face's own library: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else
  /// `$XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
  public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    let user =
      environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
      ?? NSHomeDirectory()
    func path(_ variable: String) -> String? {
      guard let path = environment[variable], !path.isEmpty else { return nil }
      return path == "~" || path.hasPrefix("~/") ? user + path.dropFirst() : path
    }
    let home =
      path("HF_HOME") ?? path("XDG_CACHE_HOME").map { "\($0)/huggingface" }
      ?? "\(user)/.cache/huggingface"
    folder = path("HF_HUB_CACHE") ?? "\(home)/hub"
    tokenPath = path("HF_TOKEN_PATH") ?? "\(home)/token"
  }

  /// The folder of a model's repository, which may not exist.
  public func repositoryFolder(of model: HubModelName) -> String {
    "\(folder)/models--\(model.organization)--\(model.name)"
  }

  /// The folder of a model's files at a revision; nil if the cache has none.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - revision: a branch, a tag or a commit. If `main` was never resolved, a single existing
  ///     snapshot is used.
  public func snapshot(
    of model: HubModelName, revision: String = Self.defaultRevision
  ) throws(ModelError) -> String? {
    guard Self.isRevision(revision) else {
      throw ModelError(
        code: .requestInvalid,
        message: "'\(revision)' is not a revision of '\(model)'; give a branch, a tag or a commit")
    }
    let repository = repositoryFolder(of: model)
    guard let commit = try commit(of: revision, in: repository) else { return nil }
    let snapshot = "\(repository)/snapshots/\(commit)"
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: snapshot, isDirectory: &isFolder),
      isFolder.boolValue
    else { return nil }
    return snapshot
  }

  private func commit(of revision: String, in repository: String) throws(ModelError) -> String? {
    if Self.isCommit(revision) { return revision }
    let reference = "\(repository)/refs/\(revision)"
    guard let data = FileManager.default.contents(atPath: reference) else {
      let snapshots = try? FileManager.default.contentsOfDirectory(
        atPath: "\(repository)/snapshots")
      let commits = (snapshots ?? []).filter(Self.isCommit)
      return revision == Self.defaultRevision && commits.count == 1 ? commits[0] : nil
    }
    let commit = String(decoding: data, as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    guard Self.isFileName(commit) else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(reference)' does not contain a commit; remove it and pull the model again")
    }
    return commit
  }

  /// The default revision.
  public static let defaultRevision = "main"

  /// Whether a text is a complete commit hash: 40 hexadecimal digits.
  public static func isCommit(_ text: String) -> Bool {
    text.utf8.count == 40
      && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }

  /// Whether a text can be a revision's name: file names separated by `/`.
  public static func isRevision(_ text: String) -> Bool {
    text.utf8.count <= 255
      && text.split(separator: "/", omittingEmptySubsequences: false)
        .allSatisfy { isFileName(String($0)) }
  }

  /// Whether a text is a plain file name: ASCII letters, digits, `.`, `_`, `-` and `+`.
  static func isFileName(_ text: String) -> Bool {
    !text.isEmpty && text != "." && text != ".."
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
          UInt8(ascii: "+"):
          true
        default: false
        }
      }
  }
}
