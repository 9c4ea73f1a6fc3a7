internal import FlowGraph
public import FlowModels
internal import Foundation

/// The estimated memory of compiling and running.
struct MemoryEstimate {
  /// The peak in bytes.
  let peakByteCount: Int

  /// Estimates from sizes: compiling takes two and a half times the memory of the weights in an
  /// engine (measured: 860 million parameters, 10.1 GB resident).
  ///
  /// - Parameter referencePixels: the latent pixels of a row's reference images.
  init(
    _ checkpoint: Checkpoint, rows: Int, width: Int, height: Int,
    tiling: DecodeTiling = .automatic, referencePixels: Int = 0
  ) {
    let factor = checkpoint.autoencoder.factor
    // In floating point: extreme sizes give extreme sums, which must be refused and must not trap.
    let places = Double(width / factor) * Double(height / factor)
    let family = checkpoint.family
    let activations =
      family.activationByteCount(latentPixels: places)
      + family.referenceByteCount(latentPixels: Double(referencePixels))
    let autoencoder = checkpoint.autoencoder
    let pixels =
      tiling.side(autoencoder, width: width, height: height) == nil
      ? autoencoder.wholeByteCount(width: width, height: height)
      : autoencoder.tiledByteCount(width: width, height: height)
    let network = checkpoint.networkWeights
    let adapters = checkpoint.adapters.flatMap(\.adapter.weightStores)
    let weights = ([network] + adapters).reduce(0) { sum, store in
      sum + Double(store.engineByteCount(in: store.compressionForm)) * 2.5
    }
    peakByteCount = Int(min(weights + Double(rows) * activations + pixels, 1e18))
  }

  func check(available: Int?) throws(ModelError) {
    guard let available, peakByteCount > available else { return }
    func gigabytes(_ bytes: Int) -> String { String(format: "%.1f GB", Double(bytes) / 1e9) }
    throw ModelError(
      code: .memoryInsufficient,
      message: "the engines take about \(gigabytes(peakByteCount)) of memory and "
        + "\(gigabytes(available)) are free; make smaller images, fewer rows at once, or free "
        + "some memory", settings: [.size, .rowCapacity])
  }

  /// The available memory in bytes, if the system states it.
  static func availableByteCount() -> Int? {
    #if os(Linux)
      guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
        let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
      else { return nil }
      return min(kilobytes * 1024, containerByteCount() ?? .max)
    #elseif canImport(Darwin)
      return darwinByteCount()
    #else
      return nil
    #endif
  }

  #if canImport(Darwin)
    /// The pages that are free, or hold nothing that is needed again.
    private static func darwinByteCount() -> Int? {
      var statistics = vm_statistics64()
      let words = MemoryLayout<vm_statistics64>.size / MemoryLayout<integer_t>.size
      var count = mach_msg_type_number_t(words)
      let status = unsafe withUnsafeMutablePointer(to: &statistics) { pointer in
        unsafe pointer.withMemoryRebound(to: integer_t.self, capacity: words) { pointer in
          unsafe host_statistics64(mach_host_self(), HOST_VM_INFO64, pointer, &count)
        }
      }
      guard status == KERN_SUCCESS else { return nil }
      let pages =
        Int(statistics.free_count) + Int(statistics.inactive_count)
        + Int(statistics.purgeable_count)
      return pages * Int(getpagesize())
    }
  #endif

  /// The rest of the container's limit, if there is one (control groups, version 2).
  private static func containerByteCount() -> Int? {
    func number(_ name: String) -> Int? {
      (try? String(contentsOfFile: "/sys/fs/cgroup/\(name)", encoding: .utf8))
        .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    guard let limit = number("memory.max"), let used = number("memory.current") else { return nil }
    // Cached files are counted as used, although they are evicted when memory is needed.
    let files = (try? String(contentsOfFile: "/sys/fs/cgroup/memory.stat", encoding: .utf8))?
      .split(separator: "\n").first { $0.hasPrefix("inactive_file ") }
      .flatMap { Int($0.dropFirst("inactive_file ".count)) }
    return max(limit - used + (files ?? 0), 0)
  }
}

extension Checkpoint {
  /// The estimated bytes of the engines of one size: the weights of all parts as 32-bit floats, or
  /// in their stored form.
  public var engineByteCount: Int {
    components.reduce(0) { $0 + $1.weights.engineByteCount(in: $1.weights.compressionForm) }
  }

  /// The estimated bytes of a live stream's engines of one size, with a number of network engines.
  ///
  /// Each engine has the weights as 32-bit floats and a quarter more (less in int8), and a fixed
  /// amount. Measured: an engine of the starter 75 to 95 MB (5.9 million parameters), its decoders
  /// and encoder 17 MB, an engine of Stable Diffusion 1.5 4.1 GB (860 million).
  func liveByteCount(networkCount: Int) -> Int {
    networkCount * (5 * networkWeights.parameterCount + 60_000_000)
      + 10 * autoencoderWeights.parameterCount + 15_000_000
  }
}

/// The machine's memory.
public enum SystemMemory {
  /// The available memory in bytes, if the system states it.
  public static var availableByteCount: Int? { MemoryEstimate.availableByteCount() }
}
