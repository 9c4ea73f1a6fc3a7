public import Foundation

/// The location of the model that a user names.
public struct ModelLocation: Equatable, Sendable {
  /// The kind of a location.
  public enum Kind: Sendable {
    /// The embedded model, or the one in its place.
    case starter
    /// A folder.
    case folder
    /// A file.
    case file
  }

  /// The kind of the location.
  public let kind: Kind
  /// The folder or the file.
  public let path: String
  /// The model name recorded in images.
  public let name: String

  /// Finds a model by a user's text.
  ///
  /// The first existing location is used:
  ///
  /// 1. `starter`: the folder `$STREAMFLOW_STARTER` if it is set, or else the embedded model;
  /// 2. the path of a folder or of a file;
  /// 3. a folder, or a file without its `.safetensors` or `.gguf`, in the folder `$STREAMFLOW_MODELS`;
  /// 4. `org/name` or `org/name@revision` in the Hugging Face cache (``HubCache``).
  ///
  /// Nothing is downloaded.
  ///
  /// - Throws: `fileMissing` if there is no such model.
  public init(
    _ text: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(ModelError) {
    if text == "starter" {
      self.init(kind: .starter, path: try Self.starterFolder(environment), name: text)
      return
    }
    var places = [text]
    places += Self.places(of: text, in: environment["STREAMFLOW_MODELS"])
    for place in places where !place.isEmpty {
      guard let kind = Self.kind(of: place) else { continue }
      let url = URL(filePath: place).standardizedFileURL
      let last = kind == .file ? url.deletingPathExtension() : url
      self.init(kind: kind, path: place, name: last.lastPathComponent)
      return
    }
    var download = ModelError.Setting.download(nil, revision: nil)
    if let (model, revision) = Self.hubName(text) {
      let cache = HubCache(environment: environment)
      if let snapshot = try cache.snapshot(of: model, revision: revision) {
        self.init(kind: .folder, path: snapshot, name: model.name)
        return
      }
      places.append(cache.repositoryFolder(of: model))
      download = .download(
        model, revision: revision == HubCache.defaultRevision ? nil : revision)
    }
    throw ModelError(
      code: .fileMissing,
      message: "there is no model at '\(text)'; expected a folder in diffusers' layout, "
        + "a .safetensors or .gguf file, 'starter', a name in the folder $STREAMFLOW_MODELS, or "
        + "org/name of "
        + "the Hugging Face cache, once it is downloaded (looked at "
        + "\(places.map { "'\($0)'" }.joined(separator: ", ")))",
      settings: [.model, download])
  }

  private init(kind: Kind, path: String, name: String) {
    self.kind = kind
    self.path = path
    self.name = name
  }

  /// The folder of the model named `starter`.
  private static func starterFolder(
    _ environment: [String: String]
  ) throws(ModelError) -> String {
    guard let folder = environment["STREAMFLOW_STARTER"], !folder.isEmpty else {
      return try PackageFolder.path("starter")
    }
    guard kind(of: folder) == .folder else {
      throw ModelError(
        code: .fileMissing,
        message: "STREAMFLOW_STARTER is '\(folder)', which is not a folder; set it to a folder in "
          + "diffusers' layout, or unset it to use the embedded model")
    }
    return folder
  }

  /// The candidates of a name in the user's folder of models; none for a path that leads out of it.
  private static func places(of text: String, in folder: String?) -> [String] {
    guard let folder, !folder.isEmpty else { return [] }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return [] }
    return ["\(folder)/\(text)", "\(folder)/\(text).safetensors", "\(folder)/\(text).gguf"]
  }

  private static func kind(of path: String) -> Kind? {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      return nil
    }
    return isFolder.boolValue ? .folder : .file
  }

  /// Parses `org/name` and `org/name@revision`.
  private static func hubName(_ text: String) -> (model: HubModelName, revision: String)? {
    let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let model = HubModelName(String(halves[0])) else { return nil }
    return (model, halves.count == 2 ? String(halves[1]) : HubCache.defaultRevision)
  }
}
