internal import Foundation

/// The weights of one component's folder: which files belong together, and which are preferred.
struct WeightFiles {
  /// File names of weights, without variant, shard and extension.
  static let stems = ["diffusion_pytorch_model", "model"]

  private let folder: String
  private let names: [String]

  /// Considers the files directly in a folder.
  ///
  /// - Parameters:
  ///   - paths: the paths of all files.
  ///   - folder: the folder with a trailing slash, or empty for the root.
  init(paths: [String], folder: String) {
    self.folder = folder
    names = paths.filter { $0.hasPrefix(folder) }.map { String($0.dropFirst(folder.count)) }
      .filter { !$0.contains("/") }
  }

  /// Weight files in other formats or with other names.
  var others: [String] {
    let endings = [".bin", ".ckpt", ".pt", ".pth", ".msgpack", ".onnx", ".h5", ".safetensors"]
    return names.filter { name in endings.contains { name.hasSuffix($0) } }.map { folder + $0 }
  }

  /// The half-precision files if there are any, else the plain ones; nil if there are none.
  func preferred() throws(HubError) -> [String]? {
    for variant in ["fp16", ""] {
      for stem in Self.stems {
        let base = variant.isEmpty ? stem : "\(stem).\(variant)"
        let single = "\(base).safetensors"
        if names.contains(single) { return [folder + single] }
        let indices = [
          "\(base).safetensors.index.json",
          variant.isEmpty ? nil : "\(stem).safetensors.index.\(variant).json",
        ].compactMap { $0 }.filter(names.contains)
        guard let index = indices.first else { continue }
        let shards = try shards(base: base, index: index)
        return ([index] + shards).map { folder + $0 }
      }
    }
    return nil
  }

  /// All shards `<base>-00001-of-00003.safetensors`.
  private func shards(base: String, index: String) throws(HubError) -> [String] {
    let shards = names.filter { name in
      name.wholeMatch(of: /(.+)-[0-9]{5}-of-[0-9]{5}\.safetensors/).map { $0.1 == base } ?? false
    }
    let counts = Set(shards.compactMap { Int($0.dropLast(12).suffix(5)) })
    guard let count = counts.first, counts.count == 1, shards.count == count else {
      throw HubError(
        .filesUnclear,
        "'\(folder)\(index)' exists, but not all of its shards: "
          + "\(FileChoice.quoted(shards)); name the files yourself",
        settings: [.files])
    }
    return shards
  }
}
