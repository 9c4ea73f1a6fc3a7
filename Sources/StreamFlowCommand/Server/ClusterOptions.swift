#if Server
  internal import ArgumentParser
  internal import FlowCluster
  internal import FlowNATS
  internal import Foundation

  /// How a fleet's server is reached.
  struct ClusterOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        """
        The NATS server of a fleet (nats://host:4222, with TLS tls://host:4222; several of one cluster \
        with commas between them), which must store streams (--jetstream).
        """, valueName: "url"))
    var cluster: String?

    @Option(
      help: ArgumentHelp(
        "A file of the authorities that the NATS server's certificate must come from.",
        valueName: "file"),
      completion: .file())
    var clusterCa: String?

    @Option(
      help: ArgumentHelp(
        "The file of an nkey user's seed, which nobody else may read (chmod 600).",
        valueName: "file"),
      completion: .file())
    var clusterKey: String?

    @Option(
      help: ArgumentHelp(
        "The first token of subjects for answers, where the NATS user is allowed its own alone.",
        valueName: "prefix"))
    var clusterInbox: String?

    @Option(
      help: """
        Seconds that a worker may be silent about an image before another one gets it; what the first \
        gateway says counts.
        """)
    var clusterAckWait = 30.0

    @Option(help: "The most images in the fleet's queue; what the first gateway says counts.")
    var clusterQueue = 10_000

    func validate() throws {
      guard let cluster else {
        for (name, isSet) in [
          ("--cluster-ca", clusterCa != nil), ("--cluster-key", clusterKey != nil),
          ("--cluster-inbox", clusterInbox != nil),
        ] where isSet { throw ValidationError("\(name) needs --cluster") }
        return
      }
      for address in cluster.split(separator: ",", omittingEmptySubsequences: false) {
        guard address.hasPrefix("nats://") || address.hasPrefix("tls://"),
          let url = URL(string: String(address)), url.host()?.isEmpty == false
        else {
          throw ValidationError(
            "--cluster must be an address such as nats://127.0.0.1:4222, got '\(address)'")
        }
      }
      guard (1...3600).contains(clusterAckWait) else {
        throw ValidationError("--cluster-ack-wait must be 1 to 3600, got \(clusterAckWait)")
      }
      guard clusterQueue >= 1 else {
        throw ValidationError("--cluster-queue must be 1 or more, got \(clusterQueue)")
      }
    }

    /// The fleet; nil where there is none.
    ///
    /// - Parameter name: what the server's monitoring calls this process.
    func settings(name: String) -> ClusterSettings? {
      guard let cluster else { return nil }
      var nats = NATSOptions(url: cluster, name: name)
      (nats.authorityFile, nats.seedFile) = (clusterCa, clusterKey)
      if let clusterInbox { nats.inboxPrefix = clusterInbox }
      var settings = ClusterSettings(nats: nats)
      settings.acknowledgementTime = .seconds(clusterAckWait)
      settings.queueCount = clusterQueue
      return settings
    }
  }
#endif
