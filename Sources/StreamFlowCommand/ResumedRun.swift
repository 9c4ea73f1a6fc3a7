internal import FlowCore
internal import FlowImage
internal import Foundation
internal import StreamFlow

/// The images of an interrupted run in its folder.
struct ResumedRun {
  /// The images that need not be generated again, by their index in the run.
  private(set) var finished: [Int: String] = [:]
  /// Incomplete files of the run.
  private(set) var damaged: Set<String> = []
  /// The file number before the first image of the run; nil if there is none.
  private(set) var base: Int?

  /// Looks for the images of a run.
  ///
  /// An image belongs to the run if its settings, including the seed, are those that the run would
  /// store, and its name is the one that the run would give.
  ///
  /// - Parameters:
  ///   - work: the run.
  ///   - output: where its images go.
  ///   - share: this process's share, whose file numbers follow from the index; nil for all, whose
  ///     numbers follow the existing ones.
  ///   - parameters: the settings text of a request.
  init(
    of work: some ImageWork, in output: ImageOutput, share: WorkShare? = nil,
    parameters: (GenerationRequest) -> String
  ) {
    guard let folder = output.folder else { return }
    if let file = output.file {
      switch StoredImage(path: file) {
      case .whole(let text) where text == parameters(work.description(of: 0)):
        finished[0] = file
      case .damaged: damaged.insert(file)
      case .whole, .missing: break
      }
      return
    }
    let entries = folder.entries().filter { $0.format == output.format }
    let slugs = Set(entries.map(\.slug))
    var indices: [String: Int] = [:]
    for index in (share ?? .whole).indices(below: work.imageCount)
    where slugs.contains(OutputFolder.slug(work.name(of: index))) {
      // May read an input file.
      indices[parameters(work.description(of: index))] = index
    }
    var bases: [Int: Int] = [:]
    var broken: [OutputFolder.Entry] = []
    for entry in entries {
      // Other processes check theirs.
      if let share, !share.contains(entry.number - 1) { continue }
      switch StoredImage(path: entry.path) {
      case .whole(let text):
        guard let index = text.flatMap({ indices[$0] }),
          OutputFolder.slug(work.name(of: index)) == entry.slug,
          share == nil || entry.number == index + 1
        else { continue }
        finished[index] = entry.path
        bases[entry.number - index - 1, default: 0] += 1
      case .damaged: broken.append(entry)
      case .missing: continue
      }
    }
    base = share == nil ? bases.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key : 0
    // Without any complete image, the run would have begun at 1.
    if base == nil, !broken.isEmpty { base = 0 }
    for entry in broken {
      let index = entry.number - (base ?? 0) - 1
      if (0..<work.imageCount).contains(index),
        OutputFolder.slug(work.name(of: index)) == entry.slug
      {
        damaged.insert(entry.path)
      }
    }
    removeLeftovers(in: folder)
  }

  /// Finds the first seed of an interrupted run with a random seed.
  ///
  /// - Parameters:
  ///   - work: the run, with any seed.
  ///   - output: where its images go.
  ///   - parameters: the settings text of a request.
  /// - Returns: the first seed of the latest run with these settings; nil if there is none.
  static func firstSeed(
    of work: some ImageWork, in output: ImageOutput,
    parameters: (GenerationRequest) -> String
  ) -> UInt64? {
    func index(text: String, seed: UInt64, among candidates: [Int]) -> Int? {
      candidates.first { index in
        var request = work.description(of: index)
        request.seed = seed
        return parameters(request) == text
      }
    }
    if let file = output.file {
      guard case .whole(let text?) = StoredImage(path: file),
        let seed = GenerationSettings(parsing: text).seed,
        index(text: text, seed: seed, among: [0]) != nil
      else { return nil }
      return seed
    }
    guard let folder = output.folder else { return nil }
    // One index for each name: the others of that name differ only in their seed.
    var candidates: [String: [Int]] = [:]
    for index in stride(from: 0, to: work.imageCount, by: max(work.count, 1)) {
      candidates[OutputFolder.slug(work.name(of: index)), default: []].append(index)
    }
    // The images of one run have the same difference of seed and file number.
    var runs: [UInt64: (first: UInt64, number: Int)] = [:]
    for entry in folder.entries() where entry.format == output.format {
      guard let indices = candidates[entry.slug],
        case .whole(let text?) = StoredImage(path: entry.path),
        let seed = GenerationSettings(parsing: text).seed,
        let index = index(text: text, seed: seed, among: indices)
      else { continue }
      let run = seed &- UInt64(entry.number)
      // Entries are ordered by number: the first one is the run's first image.
      runs[run] = (runs[run]?.first ?? seed &- UInt64(index), entry.number)
    }
    return runs.values.max { $0.number < $1.number }?.first
  }

  /// Removes temporary files that a killed process left behind.
  private func removeLeftovers(in folder: OutputFolder) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    for name in names {
      guard let mark = name.range(of: ".writing-"), UInt64(name[mark.upperBound...]) != nil,
        name.first?.isNumber == true
      else { continue }
      let path = folder.file(name)
      let attributes = try? FileManager.default.attributesOfItem(atPath: path)
      // A younger file may belong to a running process.
      guard let date = attributes?[.modificationDate] as? Date, date.timeIntervalSinceNow < -60
      else { continue }
      try? FileManager.default.removeItem(atPath: path)
    }
  }
}

/// The state of an image file, for resuming.
enum StoredImage {
  /// A complete image with its settings text, if it has one.
  case whole(String?)
  /// A file that is not a complete image.
  case damaged
  case missing

  init(path: String) {
    guard let data = FileManager.default.contents(atPath: path) else {
      self = .missing
      return
    }
    let bytes = Array(data)
    guard (try? PixelImage(picture: bytes)) != nil else {
      self = .damaged
      return
    }
    let text = (try? ImageMetadata(of: bytes))?.parameters
    self = .whole(text.map(GenerationSettings.withoutDevices))
  }
}
