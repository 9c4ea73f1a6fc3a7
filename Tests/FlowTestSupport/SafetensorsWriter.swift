import Foundation

/// Writes small safetensors files, whole ones and broken ones.
public enum SafetensorsWriter {
  /// A file from a header in JSON and the bytes after it.
  public static func file(header: String, data: [UInt8]) -> [UInt8] {
    // Padded as the reference implementation does, so that tensors are aligned.
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let length = UInt64(padded.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array(padded.utf8) + data
  }

  /// A whole file of 32-bit floats.
  public static func file(_ tensors: [(name: String, shape: [Int], scalars: [Float])]) -> [UInt8] {
    var entries: [String] = []
    var data: [UInt8] = []
    for tensor in tensors {
      let begin = data.count
      data.reserveCapacity(begin + 4 * tensor.scalars.count)
      for scalar in tensor.scalars {
        let bits = scalar.bitPattern
        data.append(UInt8(truncatingIfNeeded: bits))
        data.append(UInt8(truncatingIfNeeded: bits >> 8))
        data.append(UInt8(truncatingIfNeeded: bits >> 16))
        data.append(UInt8(truncatingIfNeeded: bits >> 24))
      }
      entries.append(
        "\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":\(tensor.shape),"
          + "\"data_offsets\":[\(begin),\(data.count)]}")
    }
    return file(header: "{\(entries.joined(separator: ","))}", data: data)
  }

  /// A whole file of tensors of any type.
  ///
  /// - Parameters:
  ///   - tensors: names, types as the format spells them, shapes and bytes.
  ///   - misalignment: how many bytes beyond a multiple of 8 the first tensor begins.
  public static func file(
    typed tensors: [(name: String, type: String, shape: [Int], bytes: [UInt8])],
    misalignment: Int = 0
  ) -> [UInt8] {
    var entries: [String] = []
    var data: [UInt8] = []
    for tensor in tensors {
      let begin = data.count
      data += tensor.bytes
      entries.append(
        "\"\(tensor.name)\":{\"dtype\":\"\(tensor.type)\",\"shape\":\(tensor.shape),"
          + "\"data_offsets\":[\(begin),\(data.count)]}")
    }
    var header = "{\(entries.joined(separator: ","))}"
    while header.utf8.count % 8 != misalignment { header += " " }
    let length = UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array(header.utf8) + data
  }

  /// The bytes of 32-bit floats.
  public static func bytes(of scalars: [Float]) -> [UInt8] {
    scalars.flatMap { scalar in
      (0..<4).map { UInt8(truncatingIfNeeded: scalar.bitPattern >> ($0 * 8)) }
    }
  }
}
