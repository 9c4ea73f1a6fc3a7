import FlowCore
import Testing

@testable import StreamFlow

/// The dispatcher on devices that exist as numbers, on a clock that is a number.
@Suite struct DeviceDispatcherTests {
  typealias Dispatcher = DeviceDispatcher<Int>

  @Test(
    "At least 95 % of the sum of all speeds, every image once, in order, in bounded memory",
    arguments: [1, 2, 3, 8, 32, 256])
  func throughput(deviceCount: Int) {
    for spread in deviceCount > 8 ? [15.0] : [1, 15] {
      var random = SplitMix(seed: UInt64(deviceCount))
      let capacity = deviceCount > 8 ? 2 : 8
      let devices = (0..<deviceCount).map { index in
        // The first and the last are as far apart as can be, the others between them at random.
        let place = index == 0 ? 0 : index == 1 ? 1 : random.unit()
        return Simulation.Machine(
          rowCapacity: capacity, secondsPerRow: 0.01 * (1 + (spread - 1) * place), overhead: 0.002)
      }
      let imageCount = deviceCount * capacity * (deviceCount > 8 ? 12 : 30)
      var simulation = Simulation(devices, imageCount: imageCount, evaluations: 4)
      simulation.run()
      #expect(simulation.taken == Array(0..<imageCount))
      #expect(simulation.mostHeld <= 4 * deviceCount * capacity)
      let ideal = Double(imageCount) / simulation.speed
      let share = ideal / simulation.time
      #expect(share >= 0.95, "\(deviceCount) devices, 1 to \(spread): \(share)")
    }
  }

  @Test("Devices fail in the middle: nothing is lost, nothing comes twice, the order stays")
  func failures() {
    for deviceCount in [2, 5, 64] {
      var random = SplitMix(seed: 7 &+ UInt64(deviceCount))
      var devices = (0..<deviceCount).map { _ in
        Simulation.Machine(
          rowCapacity: 4, secondsPerRow: 0.01 + 0.05 * random.unit(), overhead: 0.001)
      }
      // All but one fail, at any time.
      for index in devices.indices.dropFirst() { devices[index].failure = 3 * random.unit() }
      var simulation = Simulation(devices, imageCount: 40 * deviceCount, evaluations: 5)
      simulation.run()
      #expect(simulation.taken == Array(0..<40 * deviceCount))
      #expect(simulation.failedCount > 0 && simulation.failedCount < deviceCount)
      #expect(simulation.mostHeld <= 16 * deviceCount)
    }
  }

  @Test("Without a consumer no more images are begun than the ring has room for")
  func backPressure() {
    var dispatcher = Dispatcher(rowCapacities: [2, 2])
    dispatcher.submit(order: 0, costs: Self.costs(1000))
    var begun = 0
    for _ in 0..<3 {
      while let assignment = dispatcher.next() {
        begun += 1
        dispatcher.measure(assignment.device, secondsPerRow: 0.01)
        let isNew = dispatcher.finish(assignment.ticket, assignment.ticket.index)
        #expect(isNew)
      }
    }
    #expect(begun == 16 && dispatcher.heldCount(order: 0) == 16)
    #expect([dispatcher.take(order: 0), dispatcher.next()?.ticket.index] == [0, 16])
    let more = dispatcher.next()
    #expect(more == nil)
  }

  @Test("An order whose ring is full does not hold up another's")
  func severalOrders() {
    var dispatcher = Dispatcher(rowCapacities: [1])
    dispatcher.submit(order: 0, costs: Self.costs(20))
    dispatcher.submit(order: 1, costs: Self.costs(2), client: "another")
    var taken: [Int] = []
    while let assignment = dispatcher.next() {
      dispatcher.finish(assignment.ticket, assignment.ticket.index)
      if assignment.ticket.order == 1, let index = dispatcher.take(order: 1) { taken.append(index) }
    }
    #expect(taken == [0, 1] && dispatcher.isFinished(order: 1))
    #expect(dispatcher.heldCount(order: 0) == 4)
  }

  @Test("The last image waits for the fast device rather than going to a slow one")
  func lastImage() {
    var dispatcher = Dispatcher(rowCapacities: [1, 1])
    dispatcher.measure(0, secondsPerRow: 0.01)
    dispatcher.measure(1, secondsPerRow: 1)
    dispatcher.submit(order: 0, costs: Self.costs(4))
    var devices: [Int] = []
    while let assignment = dispatcher.next() { devices.append(assignment.device) }
    #expect(devices == [0, 0])
    dispatcher.finish(.init(order: 0, index: 0), 0)
    let last = dispatcher.next()
    #expect(last?.device == 0)
  }

  @Test("An image that is done twice counts once, and a forgotten order's does not")
  func once() {
    var dispatcher = Dispatcher(rowCapacities: [4, 4])
    dispatcher.submit(order: 0, costs: Self.costs(2))
    let first = dispatcher.next()
    let second = dispatcher.next()
    #expect(first?.device != second?.device)
    let lost = dispatcher.fail(first?.device ?? 0)
    #expect(lost == [Dispatcher.Ticket(order: 0, index: 0)])
    dispatcher.giveBack(lost)
    // What the failed device had made all the same is not made again.
    var isNew = [dispatcher.finish(.init(order: 0, index: 0), 0)]
    isNew.append(dispatcher.finish(.init(order: 0, index: 0), 0))
    let third = dispatcher.next()
    #expect(third == nil)
    dispatcher.cancel(order: 0)
    isNew.append(dispatcher.finish(.init(order: 0, index: 1), 1))
    #expect(isNew == [true, false, false])
    #expect(dispatcher.isFinished(order: 0))
    dispatcher.fail(second?.device ?? 1)
    #expect(!dispatcher.hasDevice)
    dispatcher.restore(0)
    #expect(dispatcher.hasDevice)
  }

  private static func costs(_ count: Int) -> [ImageCost] {
    [ImageCost](repeating: ImageCost(rows: 1, evaluations: 4), count: count)
  }
}

/// Devices that tick on a virtual clock, as generators do: what was assigned is admitted when a tick
/// begins, and every tick takes as long as it has rows.
private struct Simulation {
  struct Machine {
    let rowCapacity: Int
    let secondsPerRow: Double
    /// The seconds of a tick of no rows.
    let overhead: Double
    /// When it fails.
    var failure = Double.infinity
    var waiting: [Int] = []
    var flying: [(image: Int, left: Int)] = []
    var isTicking = false
    var isFailed = false

    func tickTime(rows: Int) -> Double { overhead + secondsPerRow * Double(rows) }
  }

  private(set) var time = 0.0
  private(set) var taken: [Int] = []
  private(set) var mostHeld = 0
  private(set) var failedCount = 0
  private var machines: [Machine]
  private var dispatcher: DeviceDispatcher<Int>
  private var events = EventHeap()
  private let evaluations: Int
  private let imageCount: Int

  init(_ machines: [Machine], imageCount: Int, evaluations: Int) {
    self.machines = machines
    self.evaluations = evaluations
    self.imageCount = imageCount
    dispatcher = DeviceDispatcher(rowCapacities: machines.map(\.rowCapacity))
    let cost = ImageCost(rows: 1, evaluations: evaluations)
    dispatcher.submit(
      order: 0, costs: [ImageCost](repeating: cost, count: imageCount))
  }

  /// The images of a second of all machines with full ticks.
  var speed: Double {
    machines.reduce(0) {
      $0 + Double($1.rowCapacity) / $1.tickTime(rows: $1.rowCapacity) / Double(evaluations)
    }
  }

  mutating func run() {
    dispatch()
    while taken.count < imageCount, let (now, index) = events.pop() {
      time = now
      end(of: index)
      dispatch()
    }
  }

  private mutating func dispatch() {
    while let index = dispatcher.take(order: 0) { taken.append(index) }
    while let assignment = dispatcher.next() {
      machines[assignment.device].waiting.append(assignment.ticket.index)
      begin(assignment.device)
    }
  }

  private mutating func begin(_ index: Int) {
    guard !machines[index].isTicking, !machines[index].isFailed else { return }
    while machines[index].flying.count < machines[index].rowCapacity,
      !machines[index].waiting.isEmpty
    {
      machines[index].flying.append((machines[index].waiting.removeFirst(), evaluations))
    }
    let rows = machines[index].flying.count
    guard rows > 0 else { return }
    machines[index].isTicking = true
    events.push(time + machines[index].tickTime(rows: rows), index)
  }

  private mutating func end(of index: Int) {
    machines[index].isTicking = false
    guard time < machines[index].failure else {
      machines[index].isFailed = true
      failedCount += 1
      dispatcher.giveBack(dispatcher.fail(index))
      return
    }
    let rows = machines[index].flying.count
    dispatcher.measure(
      index, secondsPerRow: machines[index].tickTime(rows: rows) / Double(rows))
    for place in machines[index].flying.indices { machines[index].flying[place].left -= 1 }
    for flight in machines[index].flying where flight.left == 0 {
      dispatcher.finish(.init(order: 0, index: flight.image), flight.image)
    }
    mostHeld = max(mostHeld, dispatcher.heldCount(order: 0))
    machines[index].flying.removeAll { $0.left == 0 }
    // Others are assigned before its next tick, where it has none that wait.
    dispatch()
    begin(index)
  }
}

/// Times and devices, the earliest first.
private struct EventHeap {
  private var entries: [(time: Double, device: Int)] = []

  mutating func push(_ time: Double, _ device: Int) {
    entries.append((time, device))
    var child = entries.count - 1
    while child > 0, entries[child].time < entries[(child - 1) / 2].time {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> (time: Double, device: Int)? {
    guard let first = entries.first else { return nil }
    let last = entries.removeLast()
    guard !entries.isEmpty else { return first }
    entries[0] = last
    var parent = 0
    while 2 * parent + 1 < entries.count {
      var child = 2 * parent + 1
      if child + 1 < entries.count, entries[child + 1].time < entries[child].time { child += 1 }
      guard entries[child].time < entries[parent].time else { break }
      entries.swapAt(child, parent)
      parent = child
    }
    return first
  }
}

/// Small random numbers.
private struct SplitMix {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// From 0 up to 1.
  mutating func unit() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return Double((value ^ (value >> 31)) >> 11) / Double(1 << 53)
  }
}
