internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowImage
internal import FlowModels
internal import FlowText
internal import Hummingbird
internal import StreamFlow

/// The conversion of failures to errors for clients.
///
/// Messages that may contain the server's paths are only logged.
extension ServerError {
  /// The code for a model whose files are missing, damaged or not supported by this version.
  static let modelCode = "model_unavailable"
  /// The code for an unavailable runtime or device.
  static let engineCode = "engine_unavailable"

  /// Converts any failure to an error for clients.
  package init(_ error: any Error) {
    switch error {
    case let error as ServerError: self = error
    case let error as ModelError: self = .of(error)
    case let error as GraphError: self = .of(error)
    case let error as TextError: self = .of(error)
    case let error as PlanError: self = .of(error)
    case let error as EngineError: self = .of(error)
    case let error as MediaError: self = .of(error)
    case let error as ResultStoreError: self = .of(error)
    case let error as MultipartError: self = .invalid(error.message)
    case is CancellationError:
      self = ServerError(.serviceUnavailable, "cancelled", "the request was cancelled")
    case let error as HTTPError:
      self = ServerError(
        error.status, Self.code(of: error.status),
        error.body ?? "\(error.status.code) \(error.status.reasonPhrase)")
    default: self = .unknown
    }
  }

  /// Converts a failure to load a model.
  ///
  /// It was logged already, and is not the client's fault.
  init(loading error: any Error) {
    switch error {
    case let error as ServerError: self = error
    case let error as EngineError: self = .of(error)
    case let error as ModelError where error.code == .memoryInsufficient: self = .of(error)
    default: self = .modelUnavailable
    }
  }

  /// Whether a failure that ends a request is the operator's to fix, and not logged yet.
  package static func mustLog(_ error: any Error) -> Bool {
    if let error = error as? ServerError, error.code == modelCode { return false }
    return ServerError(error).isLogged
  }

  private static let unknown = ServerError(
    .internalServerError, "internal_error", "something failed; the server's log says what")

  private static let modelUnavailable = ServerError(
    .serviceUnavailable, modelCode, "the model cannot be loaded; the server's log says why",
    retryAfter: 60)

  private static func of(_ error: ModelError) -> ServerError {
    switch error.code {
    case .requestInvalid:
      .invalid(
        error.message, parameter: error.settings.contains(.adapters) ? "controls" : nil)
    case .memoryInsufficient:
      ServerError(.serviceUnavailable, "out_of_memory", error.message, retryAfter: 10)
    case .notFinite: ServerError(.internalServerError, "not_finite", error.message)
    case .unsupported:
      // Its message contains the model's paths.
      error.settings.contains(.schedule)
        ? ServerError(
          .badRequest, "unsupported",
          "the model does not specify its sampling schedule; choose with 'schedule' "
            + "(\(ScheduleChoice.spellings))", parameter: "schedule")
        : ServerError(.badRequest, "unsupported", error.message)
    case .fileMissing, .fileInvalid: modelUnavailable
    }
  }

  private static func of(_ error: GraphError) -> ServerError {
    switch error.code {
    case .fileUnreadable, .weightsInvalid, .weightMissing, .shapeMismatch, .typeUnsupported:
      modelUnavailable
    }
  }

  private static func of(_ error: TextError) -> ServerError {
    switch error.code {
    case .fileUnreadable, .tokenizerInvalid: modelUnavailable
    }
  }

  private static func of(_ error: PlanError) -> ServerError {
    switch error.code {
    case .stepCountInvalid, .strengthInvalid, .solverUnsupported, .timesInvalid:
      .invalid(error.message)
    }
  }

  private static func of(_ error: EngineError) -> ServerError {
    switch error.code {
    case .runtimeMissing, .runtimeUnsupported, .deviceUnavailable:
      ServerError(
        .serviceUnavailable, engineCode,
        "the server has no usable device; its log says why", retryAfter: 60)
    case .modelUnreadable, .compilationFailed, .runFailed, .shapeMismatch:
      ServerError(
        .internalServerError, "engine_failed",
        "the device failed to compute the image; the server's log says why")
    case .cacheUnusable:
      ServerError(
        .insufficientStorage, "storage_unavailable",
        "the server cannot use its folder of compiled engines; its log says why")
    }
  }

  private static func of(_ error: MediaError) -> ServerError {
    switch error.code {
    case .imageTooLarge: ServerError(.contentTooLarge, "picture_too_large", error.message)
    case .formatUnsupported:
      ServerError(.unsupportedMediaType, "picture_unsupported", error.message)
    case .imageInvalid: ServerError(.badRequest, "picture_invalid", error.message)
    case .encodingFailed:
      ServerError(
        .internalServerError, "encoding_failed",
        "the finished image cannot be encoded; the server's log says why")
    case .diskFull: diskFull
    case .fileUnreadable, .fileUnwritable: storageUnavailable
    case .ffmpegMissing, .encoderMissing, .videoUnreadable, .videoStreamMissing, .videoCutShort,
      .outputIsInput, .interrupted:
      // Codes of videos, which the server does not handle.
      unknown
    }
  }

  private static func of(_ error: ResultStoreError) -> ServerError {
    switch error.code {
    case .diskFull: diskFull
    case .folderUnusable, .fileUnreadable: storageUnavailable
    case .closed: stopping
    }
  }

  private static let diskFull = ServerError(
    .insufficientStorage, "disk_full",
    "the server has no space for the image; request b64_json instead of url")

  private static let storageUnavailable = ServerError(
    .insufficientStorage, "storage_unavailable",
    "the server cannot read or write its folder; its log says why")
}
