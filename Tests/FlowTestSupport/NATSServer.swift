import Foundation

/// A `nats-server` with JetStream in a process of its own, on a free port of the loopback interface,
/// with a temporary store.
public final class NATSServer {
  /// The address.
  public var url: String { "nats://127.0.0.1:\(port)" }
  /// The port.
  public private(set) var port = 0
  /// The port of its monitoring, if the settings start that (`http: "127.0.0.1:-1"`).
  public private(set) var monitoringPort: Int?
  private let folder: TemporaryFolder
  private let settings: String
  private var process = Process()

  /// Starts a server, and waits until it listens.
  ///
  /// - Parameter settings: further lines of its configuration.
  public init(_ settings: String = "") throws {
    folder = try TemporaryFolder()
    self.settings = settings
    try start()
  }

  deinit { kill() }

  /// Where the server is, which Debian puts where a user's path does not lead.
  private static var executable: String {
    get throws {
      let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
      for folder in paths.map(String.init) + ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"] {
        let path = "\(folder)/nats-server"
        if FileManager.default.isExecutableFile(atPath: path) { return path }
      }
      throw CocoaError(
        .executableNotLoadable,
        userInfo: [NSLocalizedDescriptionKey: "no nats-server; run Scripts/setup.sh --nats"])
    }
  }

  /// Starts it again where it was, with what it stored.
  public func start() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
    where name.hasSuffix(".ports") {
      try FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
    }
    let configuration = """
      listen: "127.0.0.1:\(port == 0 ? -1 : port)"
      ports_file_dir: "\(folder.path)"
      jetstream { store_dir: "\(folder.path)/store" }
      \(settings)

      """
    _ = try folder.write(Array(configuration.utf8), as: "nats.conf")
    process = Process()
    process.executableURL = URL(filePath: try Self.executable)
    process.arguments = ["-c", "\(folder.path)/nats.conf"]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    struct Ports: Decodable {
      let nats: [String]
      var monitoring: [String]?
    }
    func number(_ urls: [String]?) -> Int? {
      urls?.first.flatMap { $0.split(separator: ":").last }.flatMap { Int($0) }
    }
    let file = "\(folder.path)/nats-server_\(process.processIdentifier).ports"
    let end = Date(timeIntervalSinceNow: 10)
    while Date() < end, process.isRunning {
      if let data = FileManager.default.contents(atPath: file),
        let ports = try? JSONDecoder().decode(Ports.self, from: data),
        let found = number(ports.nats)
      {
        port = found
        monitoringPort = number(ports.monitoring)
        return
      }
      Thread.sleep(forTimeInterval: 0.01)
    }
    throw CocoaError(
      .executableLoad, userInfo: [NSLocalizedDescriptionKey: "nats-server did not start"])
  }

  /// The processor time that it has taken, in seconds; 0 where the system does not tell.
  public var processorSeconds: Double {
    guard
      let text = try? String(
        contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return 0 }
    // Fields 14 and 15 of proc(5), of which the second ends at the parenthesis.
    let fields = text[text.index(after: end)...].split(separator: " ")
    let ticks = fields.count > 12 ? (Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0) : 0
    return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Ends it as a power failure does.
  public func kill() {
    guard process.isRunning else { return }
    Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
