/// Assigns images to devices, and delivers their results in order.
///
/// A value driven by events: it has no clock, no tasks and no engines. Orders take turns as ``AdmissionQueue`` has it. An image goes to the device on which
/// it would be done first, by what each has to do and the measured seconds of a row; a slow device
/// takes one only if it would be done by the time the others are through with all that may be begun
/// before it leaves. Outcomes leave each order by number (``OrderedRing``).
///
/// At most ``windowCapacity`` images of an order are started and not taken: four for each row of
/// all devices.
struct DeviceDispatcher<Outcome> {
  /// An image of an order.
  struct Ticket: Hashable, Sendable {
    let order: Int
    /// The index of the image in its order, from 0.
    let index: Int
  }

  /// The assignment of an image to a device.
  struct Assignment: Equatable, Sendable {
    let ticket: Ticket
    let device: Int
  }

  private struct Order {
    var ring: OrderedRing<Outcome>
    let costs: [ImageCost]
    /// The number of images that were assigned, or are to be assigned again.
    var begunCount = 0
  }

  /// The maximum number of images of an order that are started and not taken.
  let windowCapacity: Int
  private(set) var loads: [DeviceLoad]
  private var orders: [Int: Order] = [:]
  private var queue = AdmissionQueue<Ticket>()
  /// Images that a device returned, before all others.
  private var returned: [Ticket] = []
  private var assigned: [Ticket: (device: Int, cost: ImageCost)] = [:]
  /// The devices that may have room, ascending.
  private var open: [Int]
  /// The remaining work of all devices.
  private var totalWork = 0
  /// The number of devices in use.
  private var usableCount: Int
  /// The rows per second of the measured devices together.
  private var measuredRate = 0.0
  private var measuredCount = 0

  /// - Parameter rowCapacities: the maximum number of rows of a tick of each device.
  init(rowCapacities: [Int]) {
    precondition(!rowCapacities.isEmpty, "there is a device")
    loads = rowCapacities.map(DeviceLoad.init)
    usableCount = rowCapacities.count
    open = Array(rowCapacities.indices)
    windowCapacity = 4 * rowCapacities.reduce(0, +)
  }

  // MARK: - Orders

  /// Adds an order.
  ///
  /// - Parameters:
  ///   - order: its name.
  ///   - costs: what its images take.
  ///   - client: the client; clients take turns.
  mutating func submit(order: Int, costs: [ImageCost], client: String = "") {
    orders[order] = Order(
      ring: OrderedRing(count: costs.count, capacity: windowCapacity), costs: costs)
    queue.add(
      costs.indices.map { Ticket(order: order, index: $0) }, stream: order, client: client)
  }

  /// Removes an order; its images on devices count until they are released.
  mutating func cancel(order: Int) {
    withdraw(order: order)
    orders[order] = nil
  }

  /// Assigns no more images of an order; finished ones can be taken.
  mutating func withdraw(order: Int) {
    queue.remove(stream: order)
    returned.removeAll { $0.order == order }
    orders[order]?.begunCount = .max
  }

  /// Removes and returns the next outcome of an order, if it is available.
  mutating func take(order: Int) -> Outcome? { orders[order]?.ring.take() }

  /// Whether all outcomes of an order were taken, or it was removed.
  func isFinished(order: Int) -> Bool { orders[order]?.ring.isFinished ?? true }

  /// The number of an order's outcomes that wait to be taken.
  func heldCount(order: Int) -> Int { orders[order]?.ring.heldCount ?? 0 }

  // MARK: - Devices

  /// Records the seconds of a row of a device.
  mutating func measure(_ device: Int, secondsPerRow: Double) {
    guard secondsPerRow > 0, !loads[device].isFailed else { return }
    forgetRate(of: device)
    loads[device].measure(secondsPerRow: secondsPerRow)
    measuredRate += 1 / (loads[device].secondsPerRow ?? secondsPerRow)
    measuredCount += 1
    noteRoom(of: device)
  }

  /// Updates ``open`` for a device.
  private mutating func noteRoom(of device: Int) {
    let hasRoom = loads[device].hasRoom(for: ImageCost(rows: 1, evaluations: 1))
    let place = open.firstIndex { $0 >= device } ?? open.count
    let isOpen = place < open.count && open[place] == device
    if hasRoom, !isOpen { open.insert(device, at: place) }
    if !hasRoom, isOpen { open.remove(at: place) }
  }

  private mutating func forgetRate(of device: Int) {
    guard let seconds = loads[device].secondsPerRow else { return }
    measuredRate -= 1 / seconds
    measuredCount -= 1
  }

  /// Takes a device out of use.
  ///
  /// - Returns: its images, by order and number, to be returned or finished.
  @discardableResult
  mutating func fail(_ device: Int) -> [Ticket] {
    guard !loads[device].isFailed else { return [] }
    forgetRate(of: device)
    usableCount -= 1
    loads[device].fail()
    noteRoom(of: device)
    return assigned.filter { $0.value.device == device }.keys
      .sorted { ($0.order, $0.index) < ($1.order, $1.index) }
  }

  /// Puts a device into use again.
  mutating func restore(_ device: Int) {
    guard loads[device].isFailed else { return }
    loads[device].isFailed = false
    usableCount += 1
    noteRoom(of: device)
  }

  /// Whether a device is in use.
  var hasDevice: Bool { usableCount > 0 }

  // MARK: - Images

  /// Records that an image is finished; it leaves its device.
  ///
  /// - Returns: false if it was finished before, or its order was removed.
  @discardableResult
  mutating func finish(_ ticket: Ticket, _ outcome: Outcome) -> Bool {
    release(ticket)
    returned.removeAll { $0 == ticket }
    return orders[ticket.order]?.ring.put(outcome, at: ticket.index) ?? false
  }

  /// Releases an image's share of its device.
  mutating func release(_ ticket: Ticket) {
    guard let (device, cost) = assigned.removeValue(forKey: ticket) else { return }
    loads[device].remove(cost)
    totalWork -= cost.work
    noteRoom(of: device)
  }

  /// Returns images that their device has not made; others make them, before all else.
  mutating func giveBack(_ tickets: [Ticket]) {
    for ticket in tickets { release(ticket) }
    let missing = tickets.filter { ticket in
      orders[ticket.order].map { !$0.ring.has(ticket.index) } ?? false
    }
    returned = (missing + returned).sorted { ($0.order, $0.index) < ($1.order, $1.index) }
  }

  /// The next assignment, if any.
  mutating func next() -> Assignment? {
    guard !open.isEmpty, let (ticket, cost) = upcoming else { return nil }
    let typical = measuredCount > 0 ? Double(measuredCount) / measuredRate : 1
    var best: (device: Int, seconds: Double)?
    for device in open where loads[device].hasRoom(for: cost) {
      let seconds = loads[device].seconds(of: cost, typical: typical)
      if seconds < best?.seconds ?? .infinity { best = (device, seconds) }
    }
    guard let best else { return nil }
    if best.seconds > horizon(typical: typical) {
      // A device that finishes later than the others: only if none would finish it sooner.
      for device in loads.indices where !loads[device].isFailed {
        if loads[device].seconds(of: cost, typical: typical) < best.seconds { return nil }
      }
    }
    if returned.isEmpty {
      _ = queue.take(from: ticket.order)
      orders[ticket.order]?.begunCount += 1
    } else {
      returned.removeFirst()
    }
    assigned[ticket] = (best.device, cost)
    loads[best.device].add(cost)
    totalWork += cost.work
    noteRoom(of: best.device)
    return Assignment(ticket: ticket, device: best.device)
  }

  /// The next image in turn, of those with a position in their order's ring.
  private var upcoming: (Ticket, ImageCost)? {
    func costed(_ ticket: Ticket) -> (Ticket, ImageCost)? {
      orders[ticket.order].map { (ticket, $0.costs[ticket.index]) }
    }
    if let first = returned.first { return costed(first) }
    guard let first = queue.first?.element else { return nil }
    if hasPlace(first) { return costed(first) }
    return queue.heads.lazy.map(\.element).first(where: hasPlace).flatMap(costed)
  }

  private func hasPlace(_ ticket: Ticket) -> Bool {
    orders[ticket.order].map { ticket.index < $0.ring.end } ?? false
  }

  /// The seconds until all devices have finished everything that they have or may start.
  private func horizon(typical: Double) -> Double {
    var work = totalWork
    for order in orders.values where order.begunCount < order.ring.end {
      work += (order.ring.end - order.begunCount) * order.costs[order.begunCount].work
    }
    for ticket in returned { work += orders[ticket.order]?.costs[ticket.index].work ?? 0 }
    return Double(work) * typical / Double(max(usableCount, 1))
  }
}
