/// The precision chosen for a device, and the reason.
public struct PrecisionFinding: Hashable, Sendable {
  /// The precision.
  public let precision: EngineOptions.Precision
  /// The reason, such as `avx512_bf16: the CPU multiplies bfloat16 in hardware`.
  public let reason: String

  /// Creates a finding.
  ///
  /// - Parameters:
  ///   - precision: the precision.
  ///   - reason: the reason, in words.
  public init(_ precision: EngineOptions.Precision, reason: String) {
    self.precision = precision
    self.reason = reason
  }
}

extension CPUFeatures {
  /// The precision in which a CPU with these features computes fastest.
  ///
  /// bfloat16 if the CPU multiplies it in hardware, in tiles (AMX) or in 512-bit vectors; both were
  /// measured to be faster than float32. Elsewhere float32: emulated bfloat16 is slower, and that of
  /// arm64 was not measured. float16 is slower on every measured CPU.
  public var fastestPrecision: PrecisionFinding {
    if instructionSets.isSuperset(of: [.amxTile, .amxBFloat16]) {
      return PrecisionFinding(.bfloat16, reason: "amx_bf16: the CPU multiplies tiles of bfloat16")
    }
    if instructionSets.isSuperset(of: [.avx512, .avx512BFloat16]) {
      return PrecisionFinding(
        .bfloat16, reason: "avx512_bf16: the CPU multiplies vectors of bfloat16")
    }
    if instructionSets.contains(.armBFloat16) {
      return PrecisionFinding(.float32, reason: "bfloat16 of arm64 was not measured to be faster")
    }
    return PrecisionFinding(.float32, reason: "the CPU does not multiply bfloat16 in hardware")
  }
}

extension DeviceName {
  /// The precision in which a device computes fastest, by its own capabilities.
  ///
  /// For the CPU, no runtime is loaded.
  ///
  /// - Parameter backends: the backends to search, best first.
  /// - Throws: `deviceUnavailable` if there is no such device; `runtimeMissing` if another device
  ///   than the CPU is named and no runtime is found.
  public func fastestPrecision(
    among backends: [any Backend]
  ) throws(EngineError) -> PrecisionFinding {
    let named = backends.first { self.backend == nil || $0.name == self.backend }
    if name == "CPU", let named {
      return try named.fastestPrecision(
        of: Device(backend: named.name, name: name, cores: cores))
    }
    let (backend, device) = try resolved(among: backends)
    return try backend.fastestPrecision(of: device)
  }
}

extension DeviceName {
  /// The details of a device; empty for the CPU, for which no runtime is loaded.
  ///
  /// - Parameter backends: the backends to search, best first.
  /// - Throws: `deviceUnavailable` if there is no such device; `runtimeMissing` if no runtime is
  ///   found.
  public func details(among backends: [any Backend]) throws(EngineError) -> DeviceDetails {
    guard name != "CPU" else { return DeviceDetails() }
    let (backend, device) = try resolved(among: backends)
    return try backend.details(of: device)
  }
}
