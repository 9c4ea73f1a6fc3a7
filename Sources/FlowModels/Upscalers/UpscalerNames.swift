/// The names of an `RRDBNet`'s layers: those of BasicSR, which are used here, those of BSRGAN and
/// RealSR, and the numbers of the first ESRGAN, whose layers were one sequence.
enum UpscalerNames {
  /// A tensor's name in BasicSR; nil if it belongs to another network.
  ///
  /// - Parameters:
  ///   - name: the name in a file.
  ///   - last: the number of the last layer of a sequence; nil if layers have names.
  static func canonical(_ name: String, last: Int?) -> String? {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 2, let kind = parts.popLast() else { return nil }
    let layer = last.map { numbered(parts, last: $0) } ?? named(parts)
    return layer.map { "\($0).\(kind)" }
  }

  /// The number of the last layer of a sequence; nil if layers have names.
  static func lastLayer(of names: some Sequence<String>) -> Int? {
    names.compactMap { name in
      let parts = name.split(separator: ".")
      return parts.count > 1 && parts[0] == "model" ? Int(parts[1]) : nil
    }.max()
  }

  private static func named(_ parts: [String]) -> String? {
    let layers = [
      "trunk_conv": "conv_body", "HRconv": "conv_hr", "upconv1": "conv_up1",
      "upconv2": "conv_up2", "upconv3": "conv_up3",
    ]
    if parts.count == 1 { return layers[parts[0]] ?? parts[0] }
    guard parts.count == 4, parts[0] == "body" || parts[0] == "RRDB_trunk" else { return nil }
    return "body.\(parts[1]).\(parts[2].lowercased()).\(parts[3])"
  }

  /// Two layers, then three for each doubling (the doubling, a convolution, its activation), and a
  /// convolution, its activation and a convolution.
  private static func numbered(_ parts: [String], last: Int) -> String? {
    guard parts[0] == "model", parts.count > 1, let number = Int(parts[1]) else { return nil }
    switch (number, parts.count) {
    case (0, 2): return "conv_first"
    case (1, 4) where parts[2] == "sub": return "conv_body"
    case (1, 7) where parts[2] == "sub" && parts[6] == "0":
      return "body.\(parts[3]).\(parts[4].lowercased()).\(parts[5])"
    case (last, 2): return "conv_last"
    case (last - 2, 2): return "conv_hr"
    case (2..., 2) where number.isMultiple(of: 3) && number < last - 2:
      return "conv_up\(number / 3)"
    default: return nil
    }
  }
}
