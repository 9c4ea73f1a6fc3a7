internal import ArgumentParser
internal import FlowEngine
internal import Foundation
internal import StreamFlow

/// `streamflow devices`: the runtimes and the devices of this machine.
struct DevicesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices", abstract: "List the runtimes and the devices of this machine.",
    discussion: """
      The first column is what --device takes; several are separated by commas.

      Examples:
        streamflow devices
        streamflow generate "a fox" --count 100 --device cuda:0,cuda:1
        streamflow generate "a fox" --count 100 --device cpu:0-7,cpu:8-15
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  /// A runtime, found or not.
  struct Runtime: Encodable {
    let name: String
    /// Its release and file; nil where it cannot be loaded.
    let found: String?
    /// What is missing, and the remedy.
    let problem: String?
    let devices: [Entry]
  }

  /// A device.
  struct Entry: Encodable {
    /// What `--device` takes.
    let device: String
    let name: String?
    let memoryBytes: Int?
    let precisions: [String]
    /// The cores that may be chosen, of a CPU.
    let cores: String?
  }

  private struct Report: Encodable {
    let runtimes: [Runtime]
  }

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func run() async throws {
    try await reporting {
      let runtimes = Self.runtimes(of: EngineStore.backends)
      if json {
        Terminal.output(try JSON.text(of: Report(runtimes: runtimes)))
      } else {
        for line in runtimes.flatMap(Self.lines) { Terminal.output(line) }
      }
    }
  }

  /// The runtimes, best first, with the devices of those that can be loaded.
  static func runtimes(of backends: [any Backend]) -> [Runtime] {
    var known: Set<String> = []
    return backends.map { backend in
      do throws(EngineError) {
        let devices = try backend.devices()
        let entries = devices.map { device in
          // A name means the first runtime that has it.
          entry(of: device, in: backend, isFirst: known.insert(device.name).inserted)
        }
        return Runtime(
          name: backend.name, found: try backend.runtimeDescription(), problem: nil,
          devices: entries)
      } catch {
        return Runtime(name: backend.name, found: nil, problem: error.message, devices: [])
      }
    }
  }

  private static func entry(of device: Device, in backend: any Backend, isFirst: Bool) -> Entry {
    let details = (try? backend.details(of: device)) ?? DeviceDetails()
    let isCPU = device.name == "CPU"
    let memory = isCPU ? Int(ProcessInfo.processInfo.physicalMemory) : nil
    return Entry(
      device: isFirst ? device.name : device.description, name: details.fullName,
      memoryBytes: details.memoryByteCount ?? memory,
      precisions: details.precisions.map(\.rawValue),
      cores: isCPU ? CoreSet.available?.description : nil)
  }

  private static func lines(of runtime: Runtime) -> [String] {
    guard let found = runtime.found else {
      return ["\(runtime.name): not found", "  \(runtime.problem ?? "")"]
    }
    let width = runtime.devices.map(\.device.count).max() ?? 0
    return ["\(runtime.name) \(found)"]
      + runtime.devices.map { entry in
        let name = entry.device.padding(toLength: width, withPad: " ", startingAt: 0)
        let facts = [
          entry.name, entry.memoryBytes.map { Size.text($0) },
          entry.cores.map { "cores \($0) (such as \(prefix(of: entry))cpu:\($0))" },
          entry.precisions.isEmpty ? nil : entry.precisions.joined(separator: " "),
        ].compactMap(\.self)
        return facts.isEmpty ? "  \(entry.device)" : "  \(name)  \(facts.joined(separator: ", "))"
      }
  }

  /// The runtime's name before the device's, where there is one.
  private static func prefix(of entry: Entry) -> String {
    entry.device.contains(":") ? "\(entry.device.prefix { $0 != ":" }):" : ""
  }
}
