internal import CONNXRuntime
public import FlowEngine
internal import Foundation
internal import Synchronization

/// The ONNX Runtime library in this process: loaded once, shared by every engine.
@safe
public final class ONNXRuntime: Sendable {
  /// The release of the library, such as `1.32.0`.
  public let version: String
  /// The library's build information.
  public let build: String
  /// The path of the library.
  public let path: String
  /// The execution providers that the library was built with, such as `CPUExecutionProvider`.
  public let providers: [String]

  // The table and the environment are written once, before this object is shared. ONNX Runtime's
  // environment may be used from several threads.
  let functions: onnxruntime_functions
  private nonisolated(unsafe) let environment: OpaquePointer
  private let registeredProviders = Mutex<Set<String>>([])

  private static let loaded = Mutex<ONNXRuntime?>(nil)

  /// The runtime, located and loaded with the first call.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with the searched locations.
  public static func shared() throws(EngineError) -> ONNXRuntime {
    let result = loaded.withLock { runtime in
      Result { () throws(EngineError) -> ONNXRuntime in
        if let runtime { return runtime }
        let found = try ONNXRuntime(
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
    let (table, path, version) = try Self.load(candidates)
    self.functions = table
    self.path = path
    self.version = version
    build = unsafe table.build_info().map { unsafe String(cString: $0) } ?? ""
    var handle: OpaquePointer?
    // Failures are thrown with the library's message; it need not log them too.
    let status = unsafe table.create_environment(Int32(ORT_LOG_FATAL), "streamflow", &handle)
    if let failure = unsafe table.failure(status) {
      throw EngineError(
        code: .runtimeMissing, message: "cannot start ONNX Runtime: \(failure.words)")
    }
    guard let environment = unsafe handle else {
      throw EngineError(code: .runtimeMissing, message: "ONNX Runtime made no environment")
    }
    unsafe self.environment = environment
    providers = try Self.providers(table)
  }

  deinit { free { unsafe functions.release_environment(environment) } }

  /// The first of several libraries that can be loaded.
  private static func load(
    _ candidates: [String]
  ) throws(EngineError) -> (onnxruntime_functions, path: String, version: String) {
    var problems: [String] = []
    var unsupported: EngineError?
    let found = unsafe withUnsafeTemporaryAllocation(of: onnxruntime_functions.self, capacity: 1) {
      table -> (onnxruntime_functions, String, String)? in
      guard let base = table.baseAddress else { return nil }
      for candidate in candidates {
        var words: UnsafePointer<CChar>?
        let result = unsafe onnxruntime_load(candidate, base, &words)
        let text = unsafe words.map { unsafe String(cString: $0) } ?? ""
        switch result {
        case ONNXRUNTIME_LOADED: return unsafe (base.pointee, candidate, text)
        case ONNXRUNTIME_UNSUPPORTED:
          unsupported =
            unsupported
            ?? EngineError(
              code: .runtimeUnsupported,
              message: "'\(candidate)' is ONNX Runtime \(text), expected "
                + "\(RuntimeLocation.release) or a later 1.x; \(RuntimeLocation.remedy)")
        default: problems.append(text)
        }
      }
      return nil
    }
    if let found { return found }
    if let unsupported { throw unsupported }
    throw EngineError(
      code: .runtimeMissing,
      message: "ONNX Runtime was not found; \(RuntimeLocation.remedy) ("
        + (problems.isEmpty
          ? "the folder in STREAMFLOW_ONNXRUNTIME holds no such library"
          : problems.joined(separator: "; ")) + ")")
  }

  private static func providers(_ table: onnxruntime_functions) throws(EngineError) -> [String] {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    var count: Int32 = 0
    if let failure = unsafe table.failure(table.available_providers(&names, &count)) {
      throw EngineError(
        code: .deviceUnavailable,
        message: "ONNX Runtime does not report its execution providers: \(failure.words)")
    }
    guard let names = unsafe names else { return [] }
    let result = (0..<Int(count)).compactMap { index in
      unsafe names[index].map { unsafe String(cString: $0) }
    }
    _ = unsafe table.failure(table.release_available_providers(names, count))
    return result
  }

  /// Calls ONNX Runtime, and throws its error message on failure.
  func check(
    _ call: @autoclosure () -> OpaquePointer?, _ code: EngineError.Code,
    _ action: @autoclosure () -> String
  ) throws(EngineError) {
    guard let failure = unsafe failure(call()) else { return }
    throw EngineError(code: code, message: "cannot \(action()): \(failure.words)")
  }

  /// Calls ONNX Runtime, and returns the failure, if any.
  func failure(_ call: @autoclosure () -> OpaquePointer?) -> Failure? {
    ExitGate.shared.inside { unsafe functions.failure(call()) }
  }

  /// Calls an ONNX Runtime function that frees an object.
  func free(_ call: () -> Void) { ExitGate.shared.inside(call) }

  /// Creates a session of a model in the ONNX format.
  @unsafe
  func createSession(
    _ onnx: [UInt8], _ options: borrowing SessionOptions
  ) -> (session: OpaquePointer?, failure: Failure?) {
    var session: OpaquePointer?
    let failure = unsafe failure(
      onnx.withUnsafeBytes { bytes in
        unsafe functions.create_session_from_array(
          environment, bytes.baseAddress, bytes.count, options.handle, &session)
      })
    return unsafe (session, failure)
  }

  /// Registers the wait for ONNX Runtime calls at exit, once for each execution provider.
  ///
  /// The library creates objects that exit destroys with the first session of a provider. Handlers
  /// that are registered later run before they are destroyed.
  func registerExit(after provider: String) {
    let isNew = registeredProviders.withLock { $0.insert(provider).inserted }
    if isNew { ExitGate.shared.closeAtExit() }
  }
}

/// A failed call of ONNX Runtime.
struct Failure {
  let code: Int
  /// The message, on one line.
  let words: String

  /// Whether the graph is invalid, as opposed to the requested session.
  var isOfGraph: Bool {
    code == ORT_INVALID_PROTOBUF || code == ORT_INVALID_GRAPH
  }
}

extension onnxruntime_functions {
  /// The failure in a status, which is freed; nil if the call succeeded.
  @unsafe
  func failure(_ status: OpaquePointer?) -> Failure? {
    guard let status = unsafe status else { return nil }
    defer { unsafe release_status(status) }
    let words = unsafe error_message(status).map { unsafe String(cString: $0) } ?? ""
    return Failure(
      code: unsafe Int(error_code(status)),
      words: words.split(whereSeparator: \.isNewline)
        .map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " "))
  }
}
