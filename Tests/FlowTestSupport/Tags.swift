public import Testing

/// What a suite needs beside a processor. `make test-fast` leaves suites with a tag out and runs the
/// others at once.
extension Tag {
  /// Compiles or runs engines of the runtime, which take all cores.
  @Tag public static var engine: Self
  /// Starts processes: the built command, compilers, shells.
  @Tag public static var process: Self
  /// Starts ffmpeg.
  @Tag public static var ffmpeg: Self
}
