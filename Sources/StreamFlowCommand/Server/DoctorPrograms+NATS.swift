#if Server
  internal import FlowNATS

  extension DoctorPrograms {
    /// The check of the NATS client library.
    static func nats() -> DoctorCheck {
      do {
        return .ok("nats", "client library \(try NATSClientLibrary.version())")
      } catch {
        return .problem(
          "nats", .missing, error.message,
          remedy: "install the NATS client library; only fleets of workers need it")
      }
    }
  }
#endif
