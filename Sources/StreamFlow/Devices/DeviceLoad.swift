/// What an image takes of a device.
struct ImageCost: Hashable, Sendable {
  /// The rows of each tick.
  let rows: Int
  /// The evaluations of the network.
  let evaluations: Int

  /// The rows of all its ticks.
  var work: Int { rows * evaluations }
}

/// What a device has to do, and how fast it is.
struct DeviceLoad: Sendable {
  /// The most rows of a tick.
  let rowCapacity: Int
  /// The rows of the images that it has.
  private(set) var rows = 0
  /// The work of the images that it has, as if none were begun.
  private(set) var work = 0
  /// The seconds of a row, as measured of late; nil before the first.
  private(set) var secondsPerRow: Double?
  /// Whether it is out of use.
  var isFailed = false

  /// How much a new measurement counts.
  private static let weight = 0.3

  init(rowCapacity: Int) { self.rowCapacity = rowCapacity }

  /// The most rows of the images that it has at a time.
  ///
  /// Twice those of a tick: where some retire, the next are there, and no row is empty until the
  /// dispatcher has heard of it. As long as nobody knows how fast it is, a quarter of a tick's.
  private var rowLimit: Int {
    secondsPerRow == nil ? max(rowCapacity / 4, 1) : 2 * rowCapacity
  }

  /// Whether it can take an image.
  func hasRoom(for cost: ImageCost) -> Bool {
    !isFailed && (rows == 0 || rows + cost.rows <= rowLimit)
  }

  /// The seconds until an image would be done that it took now, at most.
  ///
  /// - Parameter typical: the seconds of a row where none was measured.
  func seconds(of cost: ImageCost, typical: Double) -> Double {
    Double(work + cost.work) * (secondsPerRow ?? typical)
  }

  mutating func add(_ cost: ImageCost) {
    rows += cost.rows
    work += cost.work
  }

  mutating func remove(_ cost: ImageCost) {
    rows -= cost.rows
    work -= cost.work
  }

  /// Takes it out of use; how fast it was is forgotten.
  mutating func fail() {
    isFailed = true
    secondsPerRow = nil
  }

  mutating func measure(secondsPerRow seconds: Double) {
    secondsPerRow = secondsPerRow.map { $0 + Self.weight * (seconds - $0) } ?? seconds
  }
}
