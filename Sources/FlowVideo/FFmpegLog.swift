internal import Subprocess

/// The last 8 KB of ffmpeg's standard error.
///
/// Lines contain their level (`-loglevel level+error`): `[mov @ 0x55] [error] moov atom not found`.
actor FFmpegLog {
  private(set) var lines: [String] = []
  private var partial: [UInt8] = []
  private var length = 0
  private var isEnded = false
  private var isInOutput = false
  private var outputRate: FrameRate?
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private var frameTimes = FFmpegFrameTimes()
  private let observe: (@Sendable (String) -> Void)?

  static let limit = 8192

  /// - Parameter observe: called with each line.
  init(observe: (@Sendable (String) -> Void)? = nil) { self.observe = observe }

  /// Reads until the program ends.
  func read(_ output: SubprocessOutputSequence) async {
    // A failed pipe has no further lines.
    do {
      for try await buffer in output { append(unsafe buffer.withUnsafeBytes { unsafe Array($0) }) }
    } catch {}
    finishLine()
    isEnded = true
    wake()
  }

  func append(_ bytes: [UInt8]) {
    for byte in bytes {
      if byte == 10 || byte == 13 {
        finishLine()
      } else if partial.count < Self.limit {
        partial.append(byte)
      }
    }
  }

  private func finishLine() {
    guard !partial.isEmpty else { return }
    let line = String(decoding: partial, as: UTF8.self)
    let byteCount = partial.count
    partial = []
    // These lines appear for each frame and would displace errors in the log.
    if frameTimes.read(line) { return wake() }
    length += byteCount
    lines.append(line)
    while length > Self.limit, lines.count > 1 { length -= lines.removeFirst().utf8.count }
    observe?(line)
    if line.contains("Output #0") { isInOutput = true }
    if isInOutput, outputRate == nil, let match = line.firstMatch(of: /Video: .*, ([\d.]+) fps/) {
      outputRate = FrameRate(String(match.1))
      wake()
    }
  }

  private func wake() {
    for continuation in waiting { continuation.resume() }
    waiting = []
  }

  /// The output's frame rate, from an info line, once ffmpeg logs it.
  func rate() async -> FrameRate? {
    while outputRate == nil, !isEnded {
      await withCheckedContinuation { waiting.append($0) }
    }
    return outputRate
  }

  /// The presentation time of the next frame, as logged by the `showinfo` filter; nil if the frame
  /// has none or ffmpeg has ended.
  func nextFrameTime() async -> Duration? {
    while true {
      if let time = frameTimes.takeFirst() { return time }
      guard !isEnded else { return nil }
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  /// The last line with the cause of a failure, without addresses and levels.
  var failure: String {
    let serious = lines.filter { $0.contains("[error]") || $0.contains("[fatal]") }
    // These lines only state that something failed; the cause is before them.
    let empty = ["Conversion failed!", "Error while decoding stream", "Error closing file"]
    let telling = serious.filter { line in !empty.contains { line.contains($0) } }
    guard let line = telling.last ?? serious.last ?? lines.last else {
      return "ffmpeg failed without a message"
    }
    return line.replacing(/\[[^\]]* @ 0x[0-9a-f]+\] ?/, with: "")
      .replacing(/\[(error|fatal|warning|info)\] ?/, with: "")
      .trimmingPrefix("file:").description
  }

  /// The maximum length that ffmpeg accepts for the first line of a y4m stream.
  static let longestStreamHeader = 128

  /// The number of bytes of a y4m stream that belong to no frame, from ffmpeg's final statistics at
  /// level `verbose`: the first line, and an incomplete last frame.
  var unreadByteCount: Int {
    // The last "bytes read" line is the input's: files are closed in reverse order of opening.
    let read = lines.compactMap { $0.firstMatch(of: /Statistics: (\d+) bytes read/)?.1 }.last
    let frames = lines.compactMap {
      $0.firstMatch(of: /Total: (\d+) packets \((\d+) bytes\) demuxed/)
    }.last
    guard let read = read.flatMap({ Int($0) }), let frames, let count = Int(frames.1),
      let taken = Int(frames.2)
    else { return 0 }
    return read - taken - count * "FRAME\n".utf8.count
  }

  /// Whether a line of any level contains a text.
  func contains(_ text: String) -> Bool { lines.contains { $0.contains(text) } }
}
