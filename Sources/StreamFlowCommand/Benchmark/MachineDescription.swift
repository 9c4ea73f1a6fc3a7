internal import FlowEngine
internal import FlowOpenVINO
internal import Foundation
internal import StreamFlow

/// The machine of a measurement.
struct MachineDescription: Codable {
  let processor: String
  let instructions: [String]
  let cores: Int
  let memoryBytes: Int
  let system: String
  let runtime: String
  let version: String
  let date: String
  let command: String

  init() {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    func field(_ name: String) -> String? {
      text.split(separator: "\n").first { $0.hasPrefix(name) }
        .flatMap { $0.split(separator: ":").last }
        .map { $0.trimmingCharacters(in: .whitespaces) }
    }
    processor = field("model name") ?? Self.darwinProcessor ?? "unknown"
    let flags = Set(
      (field("flags") ?? field("Features") ?? "").split(separator: " ").map(String.init))
    instructions = [
      "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimd",
    ]
    .filter(flags.contains)
    cores = ProcessInfo.processInfo.activeProcessorCount
    memoryBytes = Int(ProcessInfo.processInfo.physicalMemory)
    system = ProcessInfo.processInfo.operatingSystemVersionString
    runtime = (try? OpenVINORuntime.shared().version) ?? "none"
    version = streamFlowVersion
    date = Date().formatted(.iso8601.year().month().day())
    let name = URL(filePath: CommandLine.arguments[0]).lastPathComponent
    command = ([name] + CommandLine.arguments.dropFirst()).joined(separator: " ")
  }

  private static var darwinProcessor: String? {
    #if canImport(Darwin)
      var size = 0
      guard unsafe sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0 else {
        return nil
      }
      var bytes = [UInt8](repeating: 0, count: size)
      guard unsafe sysctlbyname("machdep.cpu.brand_string", &bytes, &size, nil, 0) == 0 else {
        return nil
      }
      return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    #else
      return nil
    #endif
  }

  /// A line for a report.
  var line: String {
    let memory = Double(memoryBytes) / Double(1 << 30)
    let list = instructions.isEmpty ? "" : " (\(instructions.joined(separator: ", ")))"
    return String(
      format: "%@: %d cores of %@%@, %.0f GB, %@; OpenVINO %@, streamflow %@", date, cores,
      processor, list, memory, system, runtime, version)
  }
}
