/// A device as someone asks for it: `CPU`, `GPU.1`, or `openvino:CPU` with the backend's name;
/// `cpu:0-7` for some cores of the CPU.
public struct DeviceName: Hashable, Sendable, CustomStringConvertible {
  /// The backend, or nil for the first one that has such a device.
  public let backend: String?
  /// The device, as its backend names it.
  public let name: String
  /// The cores of the CPU that make up the device; nil for all, and for other devices.
  public let cores: CoreSet?

  /// The CPU of the first backend.
  public static let cpu = DeviceName(backend: nil, name: "CPU")

  /// Creates a name from its parts.
  ///
  /// - Parameters:
  ///   - backend: the backend, or nil for the first one that has such a device.
  ///   - name: the device, as its backend names it.
  ///   - cores: the cores of the CPU that make it up; nil for all.
  public init(backend: String? = nil, name: String, cores: CoreSet? = nil) {
    self.backend = backend
    self.name = name
    self.cores = cores
  }

  /// Reads a name: `DEVICE`, or `BACKEND:DEVICE`.
  ///
  /// A text before the first colon is a backend's name only where it is in lowercase, so that the
  /// devices that OpenVINO writes with a colon (`AUTO:GPU,CPU`) stay whole. After `cpu:` follow the
  /// cores that make up the device (`cpu:0-7`, `onnxruntime:cpu:8-15`).
  ///
  /// ```swift
  /// let device = try DeviceName(parsing: "openvino:GPU.1")
  /// ```
  ///
  /// - Throws: `deviceUnavailable` for an empty name, or for several devices.
  public init(parsing text: String) throws(EngineError) {
    let words = text.split(separator: ":", omittingEmptySubsequences: false)
    if (2...3).contains(words.count), words[words.count - 2].lowercased() == "cpu",
      !text.contains(",")
    {
      self.init(
        backend: words.count == 3 ? String(words[0]) : nil, name: "CPU",
        cores: try CoreSet(parsing: words[words.count - 1]))
      return
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let hasBackend = parts.count == 2 && parts[0].allSatisfy { $0.isLowercase || $0.isNumber }
    let name = hasBackend ? String(parts[1]) : text
    guard !name.isEmpty, !name.hasPrefix(":"), !(hasBackend && parts[0].isEmpty) else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'\(text)' names no device; expected a device such as CPU, GPU.1 or openvino:CPU")
    }
    guard Self.isComposed(name) || !name.contains(",") else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'\(text)' names several devices; a model runs on one of them, choose one")
    }
    self.init(backend: hasBackend ? String(parts[0]) : nil, name: name)
  }

  /// Whether OpenVINO composes a device of several, whose names are separated by commas.
  static func isComposed(_ name: some StringProtocol) -> Bool {
    ["AUTO", "MULTI", "HETERO"].contains(where: name.hasPrefix)
  }

  /// As it is written.
  public var description: String {
    let device = cores.map { "cpu:\($0)" } ?? name
    return backend.map { "\($0):\(device)" } ?? device
  }
}

/// A device of a backend, which is there.
public struct Device: Hashable, Sendable, CustomStringConvertible {
  /// The backend's name, such as `openvino`.
  public let backend: String
  /// The device, as its backend names it.
  public let name: String
  /// The cores of the CPU that make it up; nil for all, and for other devices.
  public let cores: CoreSet?

  /// Creates a device.
  ///
  /// - Parameters:
  ///   - backend: the backend's name, such as `openvino`.
  ///   - name: the device, as the backend names it.
  ///   - cores: the cores of the CPU that make it up; nil for all.
  public init(backend: String, name: String, cores: CoreSet? = nil) {
    self.backend = backend
    self.name = name
    self.cores = cores
  }

  /// As it is written: `openvino:CPU`.
  public var description: String { "\(backend):\(cores.map { "cpu:\($0)" } ?? name)" }
}

extension DeviceName {
  /// The backend and the device with this name.
  ///
  /// - Parameter backends: the backends to search, best first.
  /// - Throws: `deviceUnavailable`, which names the available devices; if a backend that knows such
  ///   a device cannot be loaded, that backend's error.
  func resolved(among backends: [any Backend]) throws(EngineError) -> (any Backend, Device) {
    try cores?.check()
    // The prefix may be part of a device's own name, as in cuda:0.
    let isBackend = backends.contains { $0.name == backend }
    let candidates = isBackend ? backends.filter { $0.name == backend } : backends
    let name = isBackend || cores != nil ? name : description
    var failures: [EngineError] = []
    for candidate in candidates {
      do throws(EngineError) {
        if let device = try candidate.device(named: name) {
          return (candidate, Device(backend: device.backend, name: device.name, cores: cores))
        }
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
