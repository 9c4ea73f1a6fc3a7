import FlowTestSupport
import Testing

@testable import FlowEngine

/// The precision by the features of recorded machines.
@Suite struct PrecisionTests {
  /// The relevant part of `/proc/cpuinfo` of a machine.
  struct Machine: CustomTestStringConvertible {
    let name: String
    let cpuinfo: String
    let features: [String]
    let precision: EngineOptions.Precision
    var testDescription: String { name }
  }

  private static func intel(_ model: String, _ flags: String) -> String {
    """
    processor\t: 0
    vendor_id\t: GenuineIntel
    model name\t: \(model)
    flags\t\t: fpu vme sse2 ht fma avx f16c \(flags) rdseed
    bugs\t\t: spectre_v1
    processor\t: 1
    flags\t\t: fpu
    """
  }

  static let machines = [
    Machine(
      name: "Haswell: AVX2", cpuinfo: intel("Xeon E5-2680 v3", "avx2 bmi2"), features: ["avx2"],
      precision: .float32),
    Machine(
      name: "Skylake: AVX-512",
      cpuinfo: intel("Xeon Platinum 8168", "avx2 avx512f avx512dq avx512bw avx512vl"),
      features: ["avx2", "avx512f"], precision: .float32),
    Machine(
      name: "Ice Lake: AVX-512 and VNNI",
      cpuinfo: intel("Xeon Platinum 8370C", "avx2 avx512f avx512bw avx512_vbmi2 avx512_vnni"),
      features: ["avx2", "avx512f", "avx512_vnni"], precision: .float32),
    Machine(
      name: "Alder Lake: VNNI in 256 bits", cpuinfo: intel("Core i7-12700", "avx2 avx_vnni"),
      features: ["avx2", "avx_vnni"], precision: .float32),
    Machine(
      name: "EPYC 9004: AVX512-BF16",
      cpuinfo: intel("AMD EPYC", "avx2 avx512f avx512_bf16 avx512_vnni"),
      features: ["avx2", "avx512f", "avx512_vnni", "avx512_bf16"], precision: .bfloat16),
    Machine(
      name: "Sapphire Rapids: AMX",
      cpuinfo: intel(
        "Xeon Platinum 8488C",
        "avx2 avx_vnni avx512f avx512_vnni avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8"),
      features: [
        "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16",
        "amx_int8",
      ], precision: .bfloat16),
    Machine(
      name: "Graviton 3: arm64 with bfloat16",
      cpuinfo:
        "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd fphp asimdhp sve i8mm bf16\n",
      features: ["asimd", "asimdhp", "bf16", "i8mm"], precision: .float32),
    Machine(
      name: "Graviton 2: arm64", cpuinfo: "processor\t: 0\nFeatures\t: fp asimd aes asimdhp\n",
      features: ["asimd", "asimdhp"], precision: .float32),
    Machine(name: "nothing stated", cpuinfo: "", features: [], precision: .float32),
  ]

  @Test("The features of a machine decide its precision, with a reason", arguments: machines)
  func machine(_ machine: Machine) {
    let features = CPUFeatures(cpuinfo: machine.cpuinfo)
    #expect(features.names == machine.features)
    let finding = features.fastestPrecision
    #expect(finding.precision == machine.precision && !finding.reason.isEmpty)
    if finding.precision == .bfloat16 { #expect(finding.reason.contains("_bf16")) }
  }

  @Test("The name of a processor is read, and absent where none is stated")
  func processor() {
    #expect(
      CPUFeatures(cpuinfo: Self.intel("Xeon Gold 6148", "avx2")).processor == "Xeon Gold 6148")
    #expect(CPUFeatures(cpuinfo: "Features\t: asimd\n").processor == nil)
  }

  @Test("Tiles without bfloat16, and bfloat16 without its vectors, are not enough")
  func incomplete() {
    for sets: Set<CPUFeatures.InstructionSet> in [
      [.avx512, .amxTile, .amxInt8], [.amxBFloat16], [.avx512BFloat16],
    ] {
      #expect(CPUFeatures(sets).fastestPrecision.precision == .float32)
    }
  }

  @Test("A backend that states nothing computes in float32")
  func plain() throws {
    let finding = try DeviceName.cpu.fastestPrecision(among: [PlainBackend()])
    #expect(finding.precision == .float32)
  }

  @Test("A device that is not there is an error")
  func missing() {
    let error = #expect(throws: EngineError.self) {
      try DeviceName(name: "GPU.7").fastestPrecision(among: [PlainBackend()])
    }
    #expect(error?.code == .deviceUnavailable)
  }
}
