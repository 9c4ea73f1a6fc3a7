/// The NATS client library of this machine.
public enum NATSClientLibrary {
  /// Loads the library, and returns its release, such as `3.4.1`.
  ///
  /// - Throws: `libraryMissing` or `libraryUnsupported`, with the searched locations.
  public static func version() throws(NATSError) -> String { try NATSLibrary.shared().version }
}
