/// A device as someone asks for it: `CPU`, `GPU.1`, or `openvino:CPU` with the backend's name.
public struct DeviceName: Hashable, Sendable, CustomStringConvertible {
  /// The backend, or nil for the first one that has such a device.
  public let backend: String?
  /// The device, as its backend names it.
  public let name: String

  /// The CPU of the first backend.
  public static let cpu = DeviceName(backend: nil, name: "CPU")

  /// Creates a name from its parts.
  ///
  /// - Parameters:
  ///   - backend: the backend, or nil for the first one that has such a device.
  ///   - name: the device, as its backend names it.
  public init(backend: String? = nil, name: String) {
    self.backend = backend
    self.name = name
  }

  /// Reads a name: `DEVICE`, or `BACKEND:DEVICE`.
  ///
  /// A text before the first colon is a backend's name only where it is in lowercase, so that the
  /// devices that OpenVINO writes with a colon (`AUTO:GPU,CPU`) stay whole.
  ///
  /// ```swift
  /// let device = try DeviceName(parsing: "openvino:GPU.1")
  /// ```
  ///
  /// - Throws: `deviceUnavailable` for an empty name, or for several devices.
  public init(parsing text: String) throws(EngineError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let hasBackend = parts.count == 2 && parts[0].allSatisfy { $0.isLowercase || $0.isNumber }
    let name = hasBackend ? String(parts[1]) : text
    guard !name.isEmpty, !name.hasPrefix(":"), !(hasBackend && parts[0].isEmpty) else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'\(text)' names no device; expected a device such as CPU, GPU.1 or openvino:CPU")
    }
    let isAutomatic = name.hasPrefix("AUTO") || name.hasPrefix("MULTI") || name.hasPrefix("HETERO")
    guard isAutomatic || !name.contains(",") else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'\(text)' names several devices; a model runs on one of them, choose one")
    }
    self.init(backend: hasBackend ? String(parts[0]) : nil, name: name)
  }

  /// As it is written.
  public var description: String { backend.map { "\($0):\(name)" } ?? name }
}

/// A device of a backend, which is there.
public struct Device: Hashable, Sendable, CustomStringConvertible {
  /// The backend's name, such as `openvino`.
  public let backend: String
  /// The device, as its backend names it.
  public let name: String

  /// Creates a device; a backend does.
  ///
  /// - Parameters:
  ///   - backend: the backend's name.
  ///   - name: the device, as the backend names it.
  public init(backend: String, name: String) {
    self.backend = backend
    self.name = name
  }

  /// As it is written: `openvino:CPU`.
  public var description: String { "\(backend):\(name)" }
}

extension DeviceName {
  /// The backend and the device of this name.
  ///
  /// - Parameter backends: the backends that are looked at, best first.
  /// - Throws: `deviceUnavailable`, which names the devices that are there; where the only backend
  ///   cannot be loaded, its error.
  func resolved(among backends: [any Backend]) throws(EngineError) -> (any Backend, Device) {
    let candidates = backends.filter { backend == nil || $0.name == backend }
    guard !candidates.isEmpty else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "there is no backend '\(backend ?? "")'; available: "
          + backends.map(\.name).joined(separator: ", "))
    }
    var available: [String] = []
    var failure: EngineError?
    for candidate in candidates {
      do throws(EngineError) {
        if let device = try candidate.device(named: name) { return (candidate, device) }
        available += try candidate.devices().map {
          candidates.count == 1 ? $0.name : $0.description
        }
      } catch { failure = failure ?? error }
    }
    if available.isEmpty, let failure { throw failure }
    throw EngineError(
      code: .deviceUnavailable,
      message: "there is no device '\(self)'; this machine has "
        + available.joined(separator: ", "))
  }
}
