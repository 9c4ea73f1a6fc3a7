internal import Foundation

/// ComfyUI's description of a layer's stored weight: a tensor `comfy_quant` beside it, or a text in
/// the file's header, `_quantization_metadata`, for all layers.
struct WeightDescription: Decodable {
  /// The format, such as `float8_e4m3fn` or `int8_tensorwise`.
  let format: String
  /// Whether rows were rotated before rounding.
  let convrot: Bool?
  /// The size of the groups that were rotated.
  let convrot_groupsize: Int?

  private struct Header: Decodable { let layers: [String: WeightDescription] }

  private static let longestByteCount = 1 << 16

  /// Parses the tensor beside a layer's weight.
  ///
  /// Returns nil for other contents. That is an error only if the weight's type needs a
  /// description.
  init?(_ tensor: Weight) {
    guard tensor.type == .uint8, tensor.byteCount <= Self.longestByteCount,
      let description = try? JSONDecoder().decode(
        Self.self,
        from: Data(tensor.file.bytes(tensor.offset..<tensor.offset + tensor.byteCount)))
    else { return nil }
    self = description
  }

  /// The descriptions in a file's header, by layer.
  static func all(in metadata: [String: String]) -> [String: WeightDescription] {
    metadata["_quantization_metadata"]
      .flatMap { try? JSONDecoder().decode(Header.self, from: Data($0.utf8)).layers } ?? [:]
  }
}
