/// A requested device: `CPU`, `GPU.1`, or `openvino:CPU` with the backend's name.
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
  /// A prefix before the first colon is a backend's name only if it is in lowercase, so that
  /// OpenVINO's device names with a colon (`AUTO:GPU,CPU`) stay whole.
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

  /// The name in the form that ``init(parsing:)`` reads.
  public var description: String { backend.map { "\($0):\(name)" } ?? name }
}

/// An available device of a backend.
public struct Device: Hashable, Sendable, CustomStringConvertible {
  /// The backend's name, such as `openvino`.
  public let backend: String
  /// The device, as its backend names it.
  public let name: String

  /// Creates a device.
  ///
  /// Backends call this.
  ///
  /// - Parameters:
  ///   - backend: the backend's name.
  ///   - name: the device, as the backend names it.
  public init(backend: String, name: String) {
    self.backend = backend
    self.name = name
  }

  /// The full name: `openvino:CPU`.
  public var description: String { "\(backend):\(name)" }
}

extension DeviceName {
  /// The backend and the device with this name.
  ///
  /// - Parameter backends: the backends to search, best first.
  /// - Throws: `deviceUnavailable`, which names the available devices; if a backend that knows such
  ///   a device cannot be loaded, that backend's error.
  func resolved(among backends: [any Backend]) throws(EngineError) -> (any Backend, Device) {
    // The prefix may be part of a device's own name, as in cuda:0.
    let isBackend = backends.contains { $0.name == backend }
    let candidates = isBackend ? backends.filter { $0.name == backend } : backends
    let name = isBackend ? name : description
    var failures: [EngineError] = []
    for candidate in candidates {
      do throws(EngineError) {
        if let device = try candidate.device(named: name) { return (candidate, device) }
      } catch {
        // CPU means the first backend's CPU; falling back to another backend would be a silent
        // change.
        if isBackend || (backend == nil && name.first?.isUppercase == true) { throw error }
        failures.append(error)
      }
    }
    if backend == nil || isBackend {
      if let failure = failures.first { throw failure }
      let available = Self.devices(of: candidates)
      throw EngineError(
        code: .deviceUnavailable,
        message: "there is no device '\(self)'; this machine has "
          + available.joined(separator: ", "))
    }
    if let failure = failures.last { throw failure }
    throw EngineError(
      code: .deviceUnavailable,
      message: "there is no backend '\(backend ?? "")'; available: "
        + backends.map(\.name).joined(separator: ", "))
  }

  /// The available devices; those of the first backend without its name.
  private static func devices(of backends: [any Backend]) -> [String] {
    backends.enumerated().flatMap { index, backend in
      ((try? backend.devices()) ?? []).map { index == 0 ? $0.name : $0.description }
    }
  }
}
