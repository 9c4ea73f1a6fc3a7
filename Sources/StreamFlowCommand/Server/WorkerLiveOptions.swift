#if Server
  internal import ArgumentParser
  internal import FlowServer
  internal import Foundation

  /// Where a worker takes live streams.
  struct WorkerLiveOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        """
        The address at which this worker listens for live streams of gateways; 0.0.0.0 for all \
        addresses of this machine, 'none' for none (default: 127.0.0.1 if --cluster names a \
        loopback address, else none).
        """, valueName: "host[:port]"))
    var live: String?

    @Option(
      help: ArgumentHelp(
        """
        The name or address at which gateways reach this worker (default: that of --live; for \
        0.0.0.0 the one from which this machine reaches the NATS server).
        """,
        valueName: "host"))
    var liveHost: String?

    @Option(help: "Maximum live streams.")
    var maxStreams = ServerLimits().streamCount

    func validate() throws {
      guard maxStreams >= 1 else {
        throw ValidationError("--max-streams must be 1 or more, got \(maxStreams)")
      }
      if let live, live != "none", Self.parts(of: live) == nil {
        throw ValidationError(
          "--live must be an address such as 10.0.0.5 or 10.0.0.5:8190, or none, got '\(live)'")
      }
      if let liveHost, Self.parts(of: liveHost).map({ $0.port != 0 }) ?? true {
        throw ValidationError(
          "--live-host must be a name or an address without a port, got '\(liveHost)'")
      }
      if liveHost != nil, live == nil || live == "none" {
        throw ValidationError("--live-host needs --live")
      }
    }

    /// Where the worker listens; nil for nowhere.
    ///
    /// - Parameter cluster: the URL of the NATS server.
    /// - Throws: where there is no route to the NATS server.
    func address(cluster: String) async throws -> LiveEndpoint.Address? {
      let servers = cluster.split(separator: ",").compactMap { URL(string: String($0)) }
      if let live {
        guard live != "none", let parts = Self.parts(of: live) else { return nil }
        var publicHost = liveHost.flatMap { Self.parts(of: $0)?.host }
        if publicHost == nil, ["0.0.0.0", "::"].contains(parts.host) {
          publicHost = await Self.address(toward: servers)
          guard publicHost != nil else {
            throw ValidationError(
              "--live \(parts.host) needs --live-host: this machine has no route to \(cluster)")
          }
        }
        return LiveEndpoint.Address(host: parts.host, port: parts.port, publicHost: publicHost)
      }
      let isHere = servers.allSatisfy {
        ["127.0.0.1", "localhost", "::1", "[::1]"].contains($0.host() ?? "")
      }
      return isHere ? LiveEndpoint.Address(host: "127.0.0.1") : nil
    }

    /// The address of this machine from which it reaches the first server that it can.
    private static func address(toward servers: [URL]) async -> String? {
      for server in servers {
        let address = try? await RoutedAddress.toward(
          server.host() ?? "", port: server.port ?? 4222)
        if let address { return address }
      }
      return nil
    }

    /// A host and a port, 0 where there is none.
    private static func parts(of text: String) -> (host: String, port: Int)? {
      guard !text.isEmpty, !text.contains(where: { $0.isWhitespace || $0 == "/" }) else {
        return nil
      }
      // An IPv6 address has its colons in brackets, or no port.
      let isBare = text.count { $0 == ":" } > 1 && !text.hasPrefix("[")
      guard let url = URL(string: "http://" + (isBare ? "[\(text)]" : text)),
        let host = url.host(), !host.isEmpty, url.path().isEmpty
      else { return nil }
      let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
      if !isBare, text.hasSuffix(":") { return nil }
      if let port = url.port, !(1...65535).contains(port) { return nil }
      return (bare, url.port ?? 0)
    }
  }
#endif
