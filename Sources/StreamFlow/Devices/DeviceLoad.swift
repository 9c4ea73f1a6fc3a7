/// The cost of an image on a device.
struct ImageCost: Hashable, Sendable {
  /// The rows of each tick.
  let rows: Int
  /// The evaluations of the network.
  let evaluations: Int

  /// The rows of all its ticks.
  var work: Int { rows * evaluations }
}

/// The remaining work of a device, and its speed.
struct DeviceLoad: Sendable {
  /// The maximum number of rows of a tick.
  let rowCapacity: Int
  /// The rows of its images.
  private(set) var rows = 0
  /// The work of its images, as if none had started.
  private(set) var work = 0
  /// The recent seconds of a row; nil before the first measurement.
  private(set) var secondsPerRow: Double?
  /// Whether it is out of use.
  var isFailed = false

  /// The weight of a new measurement.
  private static let weight = 0.3

  init(rowCapacity: Int) { self.rowCapacity = rowCapacity }

  /// The maximum number of rows of its images at a time.
  ///
  /// Twice those of a tick: when some retire, the next are ready, and no row is empty until the
  /// dispatcher has been informed. Before its speed is known, a quarter of a tick's.
  private var rowLimit: Int {
    secondsPerRow == nil ? max(rowCapacity / 4, 1) : 2 * rowCapacity
  }

  /// Whether it can take an image.
  func hasRoom(for cost: ImageCost) -> Bool {
    !isFailed && (rows == 0 || rows + cost.rows <= rowLimit)
  }

  /// The maximum seconds until an image would be finished if it were assigned now.
  ///
  /// - Parameter typical: the seconds of a row for a device without a measurement.
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

  /// Takes it out of use; its speed is discarded.
  mutating func fail() {
    isFailed = true
    secondsPerRow = nil
  }

  mutating func measure(secondsPerRow seconds: Double) {
    secondsPerRow = secondsPerRow.map { $0 + Self.weight * (seconds - $0) } ?? seconds
  }
}
