public import FlowCore
internal import Foundation

/// The weights of one component by name, from one or more files.
public struct WeightStore: Sendable {
  /// The weights by name.
  public private(set) var weights: [String: Weight]
  /// The identity of these weights: one line for each file, in order of name.
  public private(set) var identity: [String]
  /// The layers that compute in int8, if any.
  public private(set) var quantization: Quantization?
  /// How graphs expose the rounding of those layers instead of computing in 8 bits, if they do.
  private(set) var probe: LayerProbe?
  /// How engines store the matrices of fully connected layers, if not in floats.
  private(set) var compression: Compression?
  /// The architecture named in a GGUF file, such as `flux`; nil for other files.
  public let architecture: String?

  private init(weights: [String: Weight], identity: [String], architecture: String? = nil) {
    self.weights = weights
    self.identity = identity
    self.architecture = architecture
  }

  private func with(_ change: (inout WeightStore) -> Void) -> WeightStore {
    var store = self
    change(&store)
    return store
  }

  /// A store with other weights, whose layers have other names.
  private func replacing(_ weights: [String: Weight]) -> WeightStore {
    with { ($0.weights, $0.quantization, $0.probe) = (weights, nil, nil) }
  }

  /// Maps one file in the safetensors or GGUF format, detected by its first bytes.
  ///
  /// Text encoders of GGUF files in llama.cpp's naming get the names of Hugging Face's checkpoints.
  public init(file path: String) throws(GraphError) {
    let mapped = try MappedFile(path: path)
    guard ForeignFile(mapped.bytes(0..<min(mapped.byteCount, 64))) == .gguf else {
      let file = try Safetensors(mapped, path: path)
      self.init(
        weights: WeightScales.applied(
          to: file.tensors, describedBy: WeightDescription.all(in: file.metadata)),
        identity: [file.identity])
      return
    }
    let file = try GGUF(mapped, path: path)
    self.init(
      weights: try file.originalTensors, identity: [file.identity],
      architecture: file.architecture)
  }

  /// Maps the files of a component's folder: `<stem>.safetensors`, or the shards listed in
  /// `<stem>.safetensors.index.json`; without a variant, `<stem>.fp16.safetensors` is accepted too.
  ///
  /// - Parameters:
  ///   - folder: the component's folder.
  ///   - stem: `diffusion_pytorch_model` for diffusers, `model` for transformers.
  ///   - variant: the variant in `<stem>.<variant>.safetensors`, such as `fp16`.
  public init(folder: String, stem: String, variant: String? = nil) throws(GraphError) {
    let manager = FileManager.default
    let variants: [String?] = variant.map { [$0] } ?? [nil, "fp16"]
    for variant in variants {
      let name = variant.map { "\(stem).\($0)" } ?? stem
      let single = "\(folder)/\(name).safetensors"
      if manager.fileExists(atPath: single) {
        try self.init(file: single)
        return
      }
      let indices = [
        "\(folder)/\(name).safetensors.index.json",
        variant.map { "\(folder)/\(stem).safetensors.index.\($0).json" },
      ]
      for index in indices.compactMap({ $0 }) where manager.fileExists(atPath: index) {
        try self.init(index: index, folder: folder)
        return
      }
    }
    let wanted = variants.map { "\($0.map { "\(stem).\($0)" } ?? stem).safetensors" }
    throw GraphError(
      code: .fileUnreadable,
      message: "'\(folder)' has no weights: expected \(wanted.joined(separator: " or ")), "
        + "whole or in shards with an index")
  }

  /// Maps the shards of an index.
  private init(index path: String, folder: String) throws(GraphError) {
    struct Index: Decodable { let weight_map: [String: String] }
    func invalid(_ problem: String) -> GraphError {
      GraphError(code: .weightsInvalid, message: "'\(path)' \(problem); fetch the model again")
    }
    let map: [String: String]
    do {
      let data = try Data(contentsOf: URL(filePath: path))
      if let pointer = ForeignFile.pointer(data) {
        throw GraphError(code: .weightsInvalid, message: "'\(path)' \(pointer.words)")
      }
      map = try JSONDecoder().decode(Index.self, from: data).weight_map
    } catch let error as GraphError { throw error } catch {
      throw invalid("is not an index of weights: it needs 'weight_map', name to file")
    }
    var shards: [String: Safetensors] = [:]
    for shard in Set(map.values).sorted() {
      guard !shard.isEmpty, !shard.contains("/"), !shard.contains("\\"), shard != ".." else {
        throw invalid("names the shard '\(shard)', which is not a file beside it")
      }
      let file = "\(folder)/\(shard)"
      guard FileManager.default.fileExists(atPath: file) else {
        throw invalid("names the shard '\(shard)', which is missing")
      }
      shards[shard] = try Safetensors(path: file)
    }
    var weights: [String: Weight] = [:]
    for (name, shard) in map {
      guard let weight = shards[shard]?.tensors[name] else {
        throw invalid("places '\(name)' in '\(shard)', which does not hold it")
      }
      weights[name] = weight
    }
    self.init(
      weights: WeightScales.applied(
        to: weights,
        describedBy: shards.values.reduce(into: [:]) { layers, shard in
          layers.merge(WeightDescription.all(in: shard.metadata)) { first, _ in first }
        }),
      identity: shards.sorted { $0.key < $1.key }.map(\.value.identity))
  }

  /// The same weights under other names; weights without a new name are dropped.
  public func renamed(_ rename: (String) -> String?) -> WeightStore {
    var renamed: [String: Weight] = [:]
    for (name, weight) in weights {
      if let name = rename(name) { renamed[name] = weight.named(name) }
    }
    return replacing(renamed)
  }

  /// The weights in another naming scheme: each one yields any number of weights, by name.
  public func mapped(
    _ map: (Weight) throws(GraphError) -> [Weight]
  ) throws(GraphError) -> WeightStore {
    var mapped: [String: Weight] = [:]
    for weight in weights.values {
      for part in try map(weight) { mapped[part.name] = part }
    }
    return replacing(mapped)
  }

  /// These weights with deltas, by name.
  func adding(_ deltas: [String: [WeightDelta]], identity: String) -> WeightStore {
    var changed = weights
    for (name, deltas) in deltas {
      for delta in deltas { changed[name] = changed[name]?.adding(delta) }
    }
    return with {
      ($0.weights, $0.probe) = (changed, nil)
      $0.identity.append(identity)
    }
  }

  /// These weights for graphs that compute some layers in int8.
  public func quantized(by quantization: Quantization) -> WeightStore {
    with {
      ($0.quantization, $0.probe) = (quantization, nil)
      $0.identity.append(quantization.identity)
    }
  }

  /// These weights for graphs that store the matrices of fully connected layers with few bits, and
  /// compute in floats; normalizations, convolutions and all but stored embeddings stay floats.
  ///
  /// The numbers are computed row by row when a graph is compiled.
  ///
  /// - Parameters:
  ///   - compression: the representation of matrices.
  ///   - count: the minimum number of weights of a compressed matrix.
  public func compressed(
    to compression: WeightCompression, from count: Int = 1 << 16
  ) -> WeightStore {
    let compression = Compression(form: compression, leastElementCount: count)
    return with {
      $0.compression = compression
      $0.identity = identity.map { "\($0), \(compression.identity)" }
    }
  }

  /// These weights for graphs that compute in float32 and expose the effect of rounding each layer
  /// of a quantization to 8 bits.
  ///
  /// - Parameters:
  ///   - quantization: the layers to probe.
  ///   - probe: what each layer exposes; ``Graph/Layer/probe`` is the port.
  public func probed(_ quantization: Quantization, exposing probe: LayerProbe) -> WeightStore {
    with {
      ($0.quantization, $0.probe) = (quantization, probe)
      $0.identity.append("\(quantization.identity) \(probe)")
    }
  }

  /// The union of these weights and those of another store.
  public func merging(_ other: WeightStore) -> WeightStore {
    replacing(weights.merging(other.weights) { first, _ in first }).with {
      $0.identity += other.identity
    }
  }

  /// The scope of the root, from which layers are named.
  public var root: WeightScope { WeightScope(store: self, path: "") }

  /// The number of elements of all weights.
  public var parameterCount: Int { weights.values.reduce(0) { $0 + $1.shape.elementCount } }

  /// The stored size of all weights in bytes.
  public var byteCount: Int { weights.values.reduce(0) { $0 + $1.byteCount } }
}

/// The weights of a layer and its children.
public struct WeightScope: Sendable {
  let store: WeightStore
  /// The layer's name, such as `down_blocks.0.resnets.1`.
  public let path: String

  /// A child layer.
  public subscript(name: String) -> WeightScope {
    WeightScope(store: store, path: path.isEmpty ? name : "\(path).\(name)")
  }

  /// A numbered child layer.
  public subscript(index: Int) -> WeightScope { self["\(index)"] }

  /// The layer's int8 parameters, if it computes in int8.
  var quantization: Quantization.Layer? { store.quantization?.layers[path] }

  /// Whether this layer itself has a weight of this name.
  public func has(_ name: String) -> Bool { store.weights[self[name].path] != nil }

  /// The extents of a weight of this layer.
  public func shape(of name: String) throws(GraphError) -> Shape { try stored(name).shape }

  /// A weight of this layer as a value of a graph.
  public func value(_ name: String, in graph: Graph) throws(GraphError) -> Value {
    try graph.value(of: stored(name))
  }

  /// Some rows of a weight of this layer as a value of a graph; other rows are not read.
  ///
  /// - Parameters:
  ///   - name: the weight.
  ///   - rows: the rows.
  ///   - shape: the shape in which the rows are counted.
  /// - Throws: a `GraphError` if the weight is missing, has another number of elements, or lacks
  ///   these rows.
  public func value(
    _ name: String, rows: Range<Int>, of shape: Shape, in graph: Graph
  ) throws(GraphError) -> Value {
    let stored = try stored(name).reshaped(shape)
    // Deltas apply to the whole weight.
    guard stored.deltas.isEmpty else {
      return try graph.value(of: stored.named("\(stored.name) as \(shape)"))
        .sliced(axis: 0, from: rows.lowerBound, to: rows.upperBound)
    }
    let part = try stored.rows(rows)
    return try graph.value(of: part.named("\(stored.name) \(rows) of \(shape)"))
  }

  func stored(_ name: String) throws(GraphError) -> Weight {
    let path = self[name].path
    guard let weight = store.weights[path] else {
      throw GraphError(
        code: .weightMissing,
        message: "the weights have no '\(path)'; the configuration and the weights do not "
          + "match, or the file is incomplete")
    }
    return weight
  }

  /// A weight with one axis of `count` elements.
  func value(_ name: String, count: Int, in graph: Graph) throws(GraphError) -> Value {
    let value = try value(name, in: graph)
    guard value.shape == [count] else {
      throw GraphError(
        code: .shapeMismatch, message: "\(self[name].path) is \(value.shape), expected [\(count)]")
    }
    return value
  }

  /// An optional weight with one axis.
  func optionalValue(_ name: String, count: Int, in graph: Graph) throws(GraphError) -> Value? {
    has(name) ? try value(name, count: count, in: graph) : nil
  }
}
