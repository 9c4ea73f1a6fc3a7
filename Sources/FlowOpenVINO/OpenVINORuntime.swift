internal import COpenVINO
public import FlowEngine
internal import Foundation
internal import Synchronization

/// The OpenVINO library in this process: loaded once, shared by every engine.
@safe
public final class OpenVINORuntime: Sendable {
  /// The build of the library, such as `2026.4.0-...`.
  public let version: String
  /// The path of the library.
  public let path: String
  // The table and the core are written once, before this object is shared. OpenVINO's core may be
  // called from several threads, but properties are set under `propertiesLock`.
  let functions: openvino_functions
  private nonisolated(unsafe) let core: OpaquePointer
  private let propertiesLock = Mutex(())
  private let registeredKinds = Mutex<Set<String>>([])
  private let listedDevices = Mutex<[String]?>(nil)

  private static let loaded = Mutex<OpenVINORuntime?>(nil)

  /// The runtime, located and loaded with the first call.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with the searched locations.
  public static func shared() throws(EngineError) -> OpenVINORuntime {
    let result = loaded.withLock { runtime in
      Result { () throws(EngineError) -> OpenVINORuntime in
        if let runtime { return runtime }
        let found = try OpenVINORuntime(
          candidates: RuntimeLocation.candidates(
            environment: ProcessInfo.processInfo.environment,
            executable: Bundle.main.executablePath ?? CommandLine.arguments[0]))
        runtime = found
        return found
      }
    }
    return try result.get()
  }

  init(candidates: [String]) throws(EngineError) {
    var problems: [String] = []
    let found = unsafe withUnsafeTemporaryAllocation(of: openvino_functions.self, capacity: 1) {
      table -> (openvino_functions, String)? in
      guard let base = table.baseAddress else { return nil }
      for candidate in candidates {
        guard let words = unsafe openvino_load(candidate, base) else {
          return unsafe (base.pointee, candidate)
        }
        problems.append(unsafe String(cString: words))
      }
      return nil
    }
    guard let (table, path) = found else {
      throw EngineError(
        code: .runtimeMissing,
        message: "OpenVINO \(RuntimeLocation.release) was not found; \(RuntimeLocation.remedy) ("
          + (problems.isEmpty
            ? "the folder in STREAMFLOW_OPENVINO holds no such library"
            : problems.joined(separator: "; ")) + ")"
      )
    }
    self.functions = table
    self.path = path
    version = try Self.version(table)
    guard version.hasPrefix(RuntimeLocation.release) else {
      throw EngineError(
        code: .runtimeUnsupported,
        message: "'\(path)' is OpenVINO \(version), expected \(RuntimeLocation.release); "
          + RuntimeLocation.remedy)
    }
    var handle: OpaquePointer?
    guard unsafe table.ov_core_create(&handle) == OPENVINO_OK, let core = unsafe handle else {
      throw EngineError(
        code: .runtimeMissing,
        message: "cannot start OpenVINO: \(unsafe text(table.ov_get_last_err_msg()))")
    }
    unsafe self.core = core
  }

  deinit { free { unsafe functions.ov_core_free(core) } }

  private static func version(_ table: openvino_functions) throws(EngineError) -> String {
    var version = unsafe ov_version_t()
    guard unsafe table.ov_get_openvino_version(&version) == OPENVINO_OK,
      let number = unsafe version.buildNumber
    else {
      throw EngineError(code: .runtimeUnsupported, message: "OpenVINO does not report its version")
    }
    defer { unsafe table.ov_version_free(&version) }
    return unsafe String(cString: number)
  }

  /// The available devices, listed with the first call, which loads the plugins of all kinds of
  /// devices.
  ///
  /// - Throws: `deviceUnavailable` if the runtime does not report them.
  public func devices() throws(EngineError) -> [String] {
    let result = listedDevices.withLock { listed in
      Result { () throws(EngineError) -> [String] in
        if let listed { return listed }
        let found = try findDevices()
        listed = found
        return found
      }
    }
    return try result.get()
  }

  private func findDevices() throws(EngineError) -> [String] {
    var list = unsafe ov_available_devices_t()
    guard unsafe functions.ov_core_get_available_devices(core, &list) == OPENVINO_OK else {
      throw EngineError(code: .deviceUnavailable, message: "OpenVINO does not report its devices")
    }
    defer { unsafe functions.ov_available_devices_free(&list) }
    return unsafe (0..<list.size).compactMap { index in
      unsafe list.devices[Int(index)].map { unsafe String(cString: $0) }
    }
  }

  /// A property of a device, such as `FULL_DEVICE_NAME`.
  public func property(_ key: String, of device: String) throws(EngineError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    try unsafe check(
      functions.ov_core_get_property(core, device, key, &text), .deviceUnavailable,
      "read \(key) of the device \(device)")
    guard let text = unsafe text else { return "" }
    defer { unsafe functions.ov_free(text) }
    return unsafe String(cString: text)
  }

  /// Calls OpenVINO, and throws its error message on failure.
  func check(
    _ call: @autoclosure () -> ov_status_e, _ code: EngineError.Code,
    _ action: @autoclosure () -> String
  ) throws(EngineError) {
    let (status, reason) = ExitGate.shared.inside {
      let status = call()
      return (status, status == OPENVINO_OK ? "" : words(on: status))
    }
    guard status != OPENVINO_OK else { return }
    throw EngineError(code: code, message: "cannot \(action()): \(reason)")
  }

  private func words(on status: ov_status_e) -> String {
    let detail = unsafe text(functions.ov_get_last_err_msg())
    return detail.isEmpty ? unsafe text(functions.ov_get_error_info(status)) : detail
  }

  /// Calls an OpenVINO function that frees an object.
  func free(_ call: () -> Void) { ExitGate.shared.inside(call) }

  /// The cores that the process may use.
  static var coreCount: Int { ProcessInfo.processInfo.activeProcessorCount }

  /// Compiles a model in the ONNX format.
  ///
  /// - Parameters:
  ///   - onnx: the model.
  ///   - name: its name.
  ///   - device: the device.
  ///   - properties: the options as OpenVINO properties.
  ///   - didRead: called after the weights were read and before they are converted.
  func compile(
    _ onnx: [UInt8], named name: String, on device: String,
    _ properties: [(key: String, value: String)], didRead: () -> Void
  ) throws(EngineError) -> CompiledModel {
    var model: OpaquePointer?
    try unsafe check(
      onnx.withUnsafeBytes { bytes in
        unsafe functions.ov_core_read_model_from_memory_buffer(
          core, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count, nil, &model)
      }, .modelUnreadable, "read the graph \(name)")
    defer { free { unsafe functions.ov_model_free(model) } }
    didRead()
    var compiled: OpaquePointer?
    try unsafe check(
      withProperties(properties) { properties in
        unsafe functions.ov_core_compile_model_props(
          core, model, device, properties.count, properties.baseAddress, &compiled)
      }, .compilationFailed, "compile \(name) for \(device)")
    return unsafe try CompiledModel(
      adopting: compiled, runtime: self, name: name, file: nil)
  }

  /// Loads a compiled model from an exported file.
  func load(
    _ file: EngineFile, named name: String, on device: String,
    _ properties: [(key: String, value: String)]
  ) throws(EngineError) -> CompiledModel {
    var compiled: OpaquePointer?
    // Importing takes no options of its own; it uses the core's properties.
    try check(
      propertiesLock.withLock { _ -> ov_status_e in
        let status = unsafe withProperties(properties) { properties in
          unsafe functions.ov_core_set_properties(
            core, device, properties.count, properties.baseAddress)
        }
        guard status == OPENVINO_OK else { return status }
        let bytes = unsafe file.engine
        return unsafe functions.ov_core_import_model(
          core, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count, device, &compiled)
      }, .compilationFailed, "load \(name) from the engine cache")
    // OpenVINO has copied frequently used data; other pages are read again on demand.
    file.releasePages()
    return unsafe try CompiledModel(adopting: compiled, runtime: self, name: name, file: file)
  }

  /// Registers the wait for OpenVINO calls at exit, once for each kind of graph.
  ///
  /// OpenVINO creates objects that exit destroys when it first compiles an operator. Handlers that
  /// are registered later run before they are destroyed.
  func registerExit(after kind: String) {
    let isNew = registeredKinds.withLock { $0.insert(kind).inserted }
    if isNew { ExitGate.shared.closeAtExit() }
  }
}

/// Calls a closure with properties in OpenVINO's form.
private func withProperties<Result>(
  _ properties: [(key: String, value: String)],
  _ body: (UnsafeBufferPointer<ov_property_t>) -> Result
) -> Result {
  let texts = unsafe properties.map { unsafe (strdup($0.key), strdup($0.value)) }
  defer {
    for unsafe(key, value) in unsafe texts {
      unsafe free(key)
      unsafe free(value)
    }
  }
  let list = unsafe texts.map { unsafe ov_property_t(key: $0.0, value: $0.1) }
  return unsafe list.withUnsafeBufferPointer(body)
}

/// An OpenVINO message on one line, without source positions.
private func text(_ words: UnsafePointer<CChar>?) -> String {
  guard let words = unsafe words else { return "" }
  return unsafe String(cString: words).split(whereSeparator: \.isNewline)
    .map { $0.trimmingCharacters(in: .whitespaces) }
    .filter { !$0.isEmpty && !$0.hasPrefix("Exception from src/") }
    .joined(separator: " ")
}
