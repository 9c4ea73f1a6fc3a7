extension DeviceName {
  /// Reads one device or several, separated by commas: `cuda:0,cuda:1`, `cpu:0-7,cpu:8-15`.
  ///
  /// A device that OpenVINO composes of several (`AUTO:GPU,CPU`) is one, and stands alone.
  ///
  /// - Throws: `deviceUnavailable` for what names no device, one twice, or a core twice.
  public static func list(parsing text: String) throws(EngineError) -> [DeviceName] {
    let device = text.split(separator: ":", maxSplits: 1).last ?? ""
    if isComposed(text) || isComposed(device) { return [try DeviceName(parsing: text)] }
    var names: [DeviceName] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let name = try DeviceName(parsing: String(part.drop { $0 == " " }))
      for other in names { try name.checkApart(from: other, in: text) }
      names.append(name)
    }
    return names
  }

  /// Makes sure that a device and another have nothing in common.
  private func checkApart(from other: DeviceName, in text: String) throws(EngineError) {
    guard self != other else {
      throw EngineError(
        code: .deviceUnavailable, message: "'\(text)' names \(self) twice; each device once")
    }
    guard let cores, let others = other.cores else { return }
    let shared = cores.intersection(others)
    guard shared.count == 0 else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'\(text)' names the cores \(shared) twice, in \(other) and in \(self); each core "
          + "once")
    }
  }
}
