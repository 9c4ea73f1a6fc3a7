#if Server
  internal import ArgumentParser
  internal import FlowNATS
  internal import FlowServer
  internal import Foundation

  extension NATSError: OptionalTargetError {
    var exitCode: ExitCode {
      switch code {
      case .libraryMissing, .libraryUnsupported, .unreachable, .noResponders:
        ExitCode(EX_UNAVAILABLE)
      case .settingInvalid: ExitCode(EX_CONFIG)
      case .notAuthorized: ExitCode(EX_NOPERM)
      case .timeout, .closed: ExitCode(EX_TEMPFAIL)
      case .refused, .answerInvalid, .damaged, .tooLarge: ExitCode(EX_PROTOCOL)
      case .callFailed: ExitCode(EX_SOFTWARE)
      }
    }

    var options: [String] { [] }
  }

  extension ServerSetupError: OptionalTargetError {
    var exitCode: ExitCode { ExitCode(EX_CONFIG) }
    var options: [String] { settings.map(Remedy.option) }
  }

  extension ModelsUnavailable: OptionalTargetError {
    var exitCode: ExitCode { ExitStatus.of(cause) }
    var options: [String] { Remedy.options(cause) }
  }

  extension Remedy {
    /// The options of `streamflow serve` for a setting.
    static func option(_ setting: ServerSetupError.Setting) -> String {
      switch setting {
      case .tokenFile: "--token-file"
      case .host: "--host"
      case .port: "--port"
      }
    }
  }
#endif
