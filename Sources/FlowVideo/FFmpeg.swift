public import FlowImage
internal import Foundation
internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// The programs `ffmpeg` and `ffprobe`, which read and write video.
public struct FFmpeg: Hashable, Sendable {
  /// The path of `ffmpeg`, 5.1 or later.
  public let path: String
  /// The path of `ffprobe`.
  public let probePath: String

  /// Uses programs at known paths.
  public init(path: String, probePath: String) {
    self.path = path
    self.probePath = probePath
  }

  /// Finds the programs: `STREAMFLOW_FFMPEG` names `ffmpeg`, otherwise `PATH` is searched;
  /// `ffprobe` must be in the same folder or in `PATH`.
  ///
  /// - Parameter environment: the environment variables; by default, those of this process.
  public static func located(
    environment: [String: String]? = nil
  ) throws(MediaError) -> FFmpeg {
    let environment = environment ?? ProcessInfo.processInfo.environment
    let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
    func find(_ name: String, in folders: [String]) -> String? {
      folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
    func missing(_ what: String) -> MediaError {
      MediaError(
        code: .ffmpegMissing,
        message: """
          \(what); video needs it: apt-get install ffmpeg (Debian, Ubuntu) or brew install ffmpeg \
          (macOS), or set STREAMFLOW_FFMPEG to its path
          """)
    }
    let path: String
    if let named = environment["STREAMFLOW_FFMPEG"], !named.isEmpty {
      guard FileManager.default.isExecutableFile(atPath: named) else {
        throw missing("STREAMFLOW_FFMPEG is '\(named)', which is not a program")
      }
      path = named
    } else {
      guard let found = find("ffmpeg", in: folders) else { throw missing("ffmpeg was not found") }
      path = found
    }
    let beside = URL(filePath: path).deletingLastPathComponent().path
    guard let probe = find("ffprobe", in: [beside] + folders) else {
      throw missing("ffprobe was not found beside '\(path)'")
    }
    return FFmpeg(path: path, probePath: probe)
  }

  /// The names of the encoders of video (`V`) or audio (`A`) that this ffmpeg has.
  func encoders(ofKind kind: Character) async throws -> [String] {
    let output = try await output(of: path, arguments: ["-hide_banner", "-encoders"])
    return output.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count > 1, words[0].count == 6, words[0].first == kind, words[1] != "=" else {
        return nil
      }
      return String(words[1])
    }
  }

  /// The version that it states, such as `7.1.1`.
  ///
  /// - Throws: `ffmpegMissing` if it cannot be run.
  public func version() async throws -> String {
    let words = try await output(of: path, arguments: ["-version"]).split(separator: " ")
    return words.count > 2 ? String(words[2]) : "of an unknown version"
  }

  /// The encoders of video that this ffmpeg has, among the given names.
  ///
  /// - Throws: `ffmpegMissing` if it cannot be run.
  public func videoEncoders(among names: [String]) async throws -> [String] {
    let found = Set(try await encoders(ofKind: "V"))
    return names.filter(found.contains)
  }

  /// Whether this ffmpeg can convert high dynamic range (HLG, PQ) to BT.709.
  public func canToneMap() async throws -> Bool {
    let output = try await output(of: path, arguments: ["-hide_banner", "-filters"])
    let names = output.split(separator: "\n").compactMap { line in
      line.split(separator: " ").dropFirst().first
    }
    return names.contains("zscale") && names.contains("tonemap")
  }

  /// The output of a program that ends by itself.
  func output(of program: String, arguments: [String]) async throws -> String {
    let log = FFmpegLog()
    let result: ExecutionResult<Void, BytesOutput, SequenceOutput>
    do {
      result = try await run(
        .path(FilePath(program)), arguments: Arguments(arguments), platformOptions: .ownGroup,
        input: .none, output: .bytes(limit: 16 << 20), error: .sequence
      ) { execution in await log.read(execution.standardError) }
    } catch let error as SubprocessError {
      try Task.checkCancellation()
      throw MediaError(code: .ffmpegMissing, message: "cannot run '\(program)': \(error)")
    }
    try Task.checkCancellation()
    guard result.terminationStatus.isSuccess else {
      throw MediaError(code: .videoUnreadable, message: await log.failure)
    }
    return String(decoding: result.standardOutput, as: UTF8.self)
  }
}

extension PlatformOptions {
  /// A separate process group: Ctrl-C in a terminal reaches only this process, which lets ffmpeg
  /// finish.
  static var ownGroup: PlatformOptions {
    var options = PlatformOptions()
    options.processGroupID = 0
    return options
  }
}
