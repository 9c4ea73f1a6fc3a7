internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// The checks of the machine: processor, memory, runtimes, devices, caches.
struct DoctorMachine {
  /// The memory that the starter needs, with room for another program.
  private static let leastByteCount = 1_000_000_000

  func checks() -> [DoctorCheck] {
    let machine = MachineDescription()
    let sets = machine.instructions.isEmpty ? "none" : machine.instructions.joined(separator: ", ")
    #if DEBUG
      let build = "debug build, slower than a release build"
    #else
      let build = "release build"
    #endif
    return [
      .ok("streamflow", "\(streamFlowVersion), \(build)"), .ok("system", machine.system),
      .ok(
        "processor",
        "\(machine.processor), \(machine.cores) cores, instruction sets: \(sets)"),
      memory(of: machine),
    ]
  }

  private func memory(of machine: MachineDescription) -> DoctorCheck {
    let total = Size.text(machine.memoryBytes)
    guard let available = SystemMemory.availableByteCount else { return .ok("memory", total) }
    let finding = "\(Size.text(available)) available of \(total)"
    guard available < Self.leastByteCount else { return .ok("memory", finding) }
    return .problem(
      "memory", .warning, finding, remedy: "end other programs, or make smaller images")
  }

  /// The runtimes with their devices; the default device is the first one's CPU.
  func runtimes() -> [DoctorCheck] {
    DevicesCommand.runtimes(of: EngineStore.backends).enumerated().flatMap { index, runtime in
      guard let found = runtime.found else {
        return [
          DoctorCheck.problem(
            runtime.name, index == 0 ? .failed : .missing, runtime.problem ?? "not found",
            remedy: "install it with `make setup` in a checkout of StreamFlow")
        ]
      }
      return [.ok(runtime.name, found)] + runtime.devices.map { self.device($0.device, $0.name) }
    }
  }

  private func device(_ text: String, _ fullName: String?) -> DoctorCheck {
    let name = "device \(text)"
    let prefix = fullName.map { "\($0), " } ?? ""
    do {
      let device = try DeviceName(parsing: text)
      let finding = try device.fastestPrecision(among: EngineStore.backends)
      return .ok(name, "\(prefix)auto is \(finding.precision.rawValue): \(finding.reason)")
    } catch {
      return .problem(
        name, .warning, error.message, remedy: "choose another device with --device")
    }
  }

  /// The default precision.
  func precision() -> [DoctorCheck] {
    do {
      let choice = try PrecisionChoice.named()
      let finding = try choice.finding(for: .cpu)
      return [
        .ok(
          "precision",
          "\(choice.defaultValueDescription) by default: \(finding.precision.rawValue) on the CPU "
            + "(\(finding.reason))")
      ]
    } catch {
      return [
        .problem(
          "precision", .failed, "\(error)",
          remedy: "unset STREAMFLOW_PRECISION, or set it to auto")
      ]
    }
  }

  /// The folders that grow.
  func storage() -> [DoctorCheck] { [engineCache(), hubCache()] + [models()].compactMap(\.self) }

  private func engineCache() -> DoctorCheck {
    let name = "engine cache"
    do {
      let cache = try CacheCommand.cache()
      let entries = try cache.entries()
      let limit = try cache.limitByteCount().map { "at most \(Size.text($0))" } ?? "no limit"
      let size = Size.text(entries.reduce(0) { $0 + $1.byteCount })
      let finding = "\(cache.folder): \(entries.count) engines, \(size), \(limit)"
      guard Self.isWritable(cache.folder) else {
        return .problem(
          name, .warning, "\(finding), not writable",
          remedy: "set STREAMFLOW_CACHE to a writable folder; without one, engines are compiled at "
            + "every start")
      }
      return .ok(name, finding)
    } catch {
      return .problem(
        name, .failed, "\(error)", remedy: "set STREAMFLOW_CACHE_LIMIT to a size such as 8GB")
    }
  }

  private func hubCache() -> DoctorCheck {
    let folder = HubCache().folder
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let count = names.count { $0.hasPrefix("models--") }
    return .ok("models", "\(folder): \(count) pulled \(count == 1 ? "model" : "models")")
  }

  private func models() -> DoctorCheck? {
    guard let folder = ProcessInfo.processInfo.environment["STREAMFLOW_MODELS"], !folder.isEmpty
    else { return nil }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
      return .problem(
        "own models", .warning, "STREAMFLOW_MODELS is '\(folder)', which cannot be listed",
        remedy: "set it to a folder of models, or unset it")
    }
    return .ok("own models", "\(folder): \(names.count) entries")
  }

  /// Whether a folder can be written, or made.
  private static func isWritable(_ folder: String) -> Bool {
    var place = URL(filePath: folder)
    while !FileManager.default.fileExists(atPath: place.path), place.path.count > 1 {
      place.deleteLastPathComponent()
    }
    return FileManager.default.isWritableFile(atPath: place.path)
  }
}
