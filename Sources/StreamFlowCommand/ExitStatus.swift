internal import ArgumentParser
internal import FlowCore
internal import FlowDigest
internal import FlowEngine
internal import FlowGraph
internal import FlowHub
internal import FlowImage
internal import FlowModels
internal import FlowText
internal import Foundation
internal import StreamFlow

/// A failure of the command itself.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  let exitCode: ExitCode

  /// Creates a failure.
  ///
  /// - Parameters:
  ///   - description: what failed, and the remedy.
  ///   - code: one of sysexits.h.
  init(_ description: String, code: Int32) {
    self.description = description
    exitCode = ExitCode(code)
  }
}

/// An error of a target that a build may lack, with its exit code and the options that fix it.
protocol OptionalTargetError: Error {
  var exitCode: ExitCode { get }
  /// The command's options, for the end of the message.
  var options: [String] { get }
}

/// The exit codes of sysexits.h, by kind of failure.
enum ExitStatus {
  static let interrupted = ExitCode(130)

  static func of(_ error: any Error) -> ExitCode {
    switch error {
    case let code as ExitCode: code
    case let failure as CommandFailure: failure.exitCode
    case let error as ModelError: of(error)
    case let error as GraphError: of(error)
    case let error as TextError: of(error)
    case let error as PlanError: of(error)
    case let error as EngineError: of(error)
    case let error as MediaError: of(error)
    case let error as HubError: of(error)
    case let error as any OptionalTargetError: error.exitCode
    case is DigestError: ExitCode(EX_UNAVAILABLE)
    case is CancellationError: interrupted
    case is ValidationError: ExitCode(EX_USAGE)
    default: ExitCode(EX_SOFTWARE)
    }
  }

  private static func of(_ error: ModelError) -> ExitCode {
    switch error.code {
    case .fileMissing: ExitCode(EX_NOINPUT)
    case .fileInvalid, .unsupported: ExitCode(EX_DATAERR)
    case .requestInvalid: ExitCode(EX_USAGE)
    case .memoryInsufficient: ExitCode(EX_OSERR)
    case .notFinite: ExitCode(EX_SOFTWARE)
    }
  }

  private static func of(_ error: GraphError) -> ExitCode {
    switch error.code {
    case .fileUnreadable: ExitCode(EX_NOINPUT)
    case .weightsInvalid, .weightMissing, .shapeMismatch, .typeUnsupported: ExitCode(EX_DATAERR)
    }
  }

  private static func of(_ error: TextError) -> ExitCode {
    switch error.code {
    case .fileUnreadable: ExitCode(EX_NOINPUT)
    case .tokenizerInvalid: ExitCode(EX_DATAERR)
    }
  }

  private static func of(_ error: PlanError) -> ExitCode {
    switch error.code {
    case .stepCountInvalid, .strengthInvalid, .solverUnsupported, .timesInvalid: ExitCode(EX_USAGE)
    }
  }

  private static func of(_ error: EngineError) -> ExitCode {
    switch error.code {
    case .runtimeMissing, .runtimeUnsupported, .deviceUnavailable: ExitCode(EX_UNAVAILABLE)
    case .cacheUnusable: ExitCode(EX_IOERR)
    case .modelUnreadable, .compilationFailed, .runFailed, .shapeMismatch: ExitCode(EX_SOFTWARE)
    }
  }

  private static func of(_ error: MediaError) -> ExitCode {
    switch error.code {
    case .imageInvalid, .formatUnsupported, .imageTooLarge, .videoCutShort,
      .videoStreamMissing:
      ExitCode(EX_DATAERR)
    case .encodingFailed: ExitCode(EX_SOFTWARE)
    case .fileUnreadable, .videoUnreadable: ExitCode(EX_NOINPUT)
    case .fileUnwritable, .diskFull: ExitCode(EX_CANTCREAT)
    case .outputIsInput: ExitCode(EX_USAGE)
    case .ffmpegMissing, .encoderMissing: ExitCode(EX_UNAVAILABLE)
    case .interrupted:
      error.cause is CancellationError ? interrupted : error.cause.map(of) ?? interrupted
    }
  }

  private static func of(_ error: HubError) -> ExitCode {
    switch error.code {
    case .requestInvalid: ExitCode(EX_USAGE)
    case .offline: ExitCode(EX_UNAVAILABLE)
    case .accessDenied: ExitCode(EX_NOPERM)
    case .notFound: ExitCode(EX_NOINPUT)
    case .unavailable: ExitCode(EX_TEMPFAIL)
    case .answerInvalid, .contentMismatch: ExitCode(EX_PROTOCOL)
    case .filesUnclear: ExitCode(EX_DATAERR)
    case .diskFull, .cacheUnwritable: ExitCode(EX_CANTCREAT)
    }
  }
}

/// Runs a subcommand: a failure is one line on standard error and an exit code.
func reporting(_ work: () async throws -> Void) async throws {
  do { try await work() } catch let code as ExitCode { throw code } catch let error
    as ValidationError
  { throw error } catch {
    if !(error is CancellationError) { Terminal.error(Remedy.words(error)) }
    throw ExitStatus.of(error)
  }
}
