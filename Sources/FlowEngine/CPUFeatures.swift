internal import Foundation

/// The instruction sets of a CPU that affect the precision in which it computes fastest.
public struct CPUFeatures: Hashable, Sendable {
  /// An instruction set, by the name that Linux gives it in `/proc/cpuinfo`.
  public enum InstructionSet: String, CaseIterable, Sendable {
    /// 256-bit vectors.
    case avx2
    /// 512-bit vectors.
    case avx512 = "avx512f"
    /// 8-bit dot products in 512-bit vectors.
    case avx512VNNI = "avx512_vnni"
    /// 8-bit dot products in 256-bit vectors.
    case avxVNNI = "avx_vnni"
    /// bfloat16 dot products in 512-bit vectors.
    case avx512BFloat16 = "avx512_bf16"
    /// Tiles for products of matrices.
    case amxTile = "amx_tile"
    /// bfloat16 products of tiles.
    case amxBFloat16 = "amx_bf16"
    /// 8-bit products of tiles.
    case amxInt8 = "amx_int8"
    /// 128-bit vectors of arm64.
    case neon = "asimd"
    /// float16 arithmetic of arm64.
    case armFloat16 = "asimdhp"
    /// bfloat16 products of arm64.
    case armBFloat16 = "bf16"
    /// 8-bit products of arm64.
    case armInt8 = "i8mm"
  }

  /// The name of the processor; nil if the system does not state it.
  public let processor: String?
  /// The instruction sets that it has.
  public let instructionSets: Set<InstructionSet>

  /// Creates a description.
  ///
  /// - Parameters:
  ///   - processor: the name of the processor, if it is known.
  ///   - instructionSets: its instruction sets.
  public init(processor: String? = nil, _ instructionSets: Set<InstructionSet>) {
    self.processor = processor
    self.instructionSets = instructionSets
  }

  /// Reads the text of `/proc/cpuinfo`; the first processor stands for all of them.
  public init(cpuinfo text: String) {
    func field(_ names: String...) -> String? {
      for line in text.split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { continue }
        let name = parts[0].trimmingCharacters(in: .whitespaces)
        if names.contains(name) { return parts[1].trimmingCharacters(in: .whitespaces) }
      }
      return nil
    }
    let flags = (field("flags", "Features") ?? "").split(separator: " ").map(String.init)
    self.init(
      processor: field("model name"), Set(flags.compactMap(InstructionSet.init(rawValue:))))
  }

  /// The features of this machine.
  public static let current: CPUFeatures = {
    #if canImport(Darwin)
      return CPUFeatures(
        processor: darwinText("machdep.cpu.brand_string"),
        Set(darwinNames.filter { isSet($0.value) }.keys))
    #else
      return CPUFeatures(
        cpuinfo: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")
    #endif
  }()

  /// The names of the instruction sets, in the order of ``InstructionSet``.
  public var names: [String] {
    InstructionSet.allCases.filter(instructionSets.contains).map(\.rawValue)
  }
}

#if canImport(Darwin)
  private let darwinNames: [CPUFeatures.InstructionSet: String] = [
    .avx2: "hw.optional.avx2_0", .avx512: "hw.optional.avx512f",
    .neon: "hw.optional.AdvSIMD", .armFloat16: "hw.optional.arm.FEAT_FP16",
    .armBFloat16: "hw.optional.arm.FEAT_BF16", .armInt8: "hw.optional.arm.FEAT_I8MM",
  ]

  private func isSet(_ name: String) -> Bool {
    var value: Int32 = 0
    var size = MemoryLayout<Int32>.size
    return unsafe sysctlbyname(name, &value, &size, nil, 0) == 0 && value == 1
  }

  private func darwinText(_ name: String) -> String? {
    var size = 0
    guard unsafe sysctlbyname(name, nil, &size, nil, 0) == 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    guard unsafe sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
#endif
