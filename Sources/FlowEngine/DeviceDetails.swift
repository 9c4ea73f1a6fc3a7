/// What there is to know of a device.
public struct DeviceDetails: Hashable, Sendable {
  /// What its maker calls it, where the runtime tells.
  public var fullName: String?
  /// Its memory in bytes, where that is known.
  public var memoryByteCount: Int?
  /// Whether the memory is the device's own, not a part of the system's, as far as is known.
  public var hasOwnMemory = false
  /// The precisions that it computes in.
  public var precisions: [EngineOptions.Precision]

  /// Creates details.
  public init(
    fullName: String? = nil, memoryByteCount: Int? = nil,
    precisions: [EngineOptions.Precision] = []
  ) {
    self.fullName = fullName
    self.memoryByteCount = memoryByteCount
    self.precisions = precisions
  }
}

extension Backend {
  /// Nothing.
  public func details(of device: Device) throws(EngineError) -> DeviceDetails { DeviceDetails() }

  /// float32, which every device computes.
  public func fastestPrecision(of device: Device) throws(EngineError) -> PrecisionFinding {
    PrecisionFinding(.float32, reason: "\(name) states no other precision")
  }

  /// Its name.
  public func runtimeDescription() throws(EngineError) -> String { name }
}
