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
    processor = CPUFeatures.current.processor ?? "unknown"
    instructions = CPUFeatures.current.names
    cores = ProcessInfo.processInfo.activeProcessorCount
    memoryBytes = Int(ProcessInfo.processInfo.physicalMemory)
    system = ProcessInfo.processInfo.operatingSystemVersionString
    runtime = (try? OpenVINORuntime.shared().version) ?? "none"
    version = streamFlowVersion
    date = Date().formatted(.iso8601.year().month().day())
    let name = URL(filePath: CommandLine.arguments[0]).lastPathComponent
    command = ([name] + CommandLine.arguments.dropFirst()).joined(separator: " ")
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
