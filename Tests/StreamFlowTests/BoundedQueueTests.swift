import Testing

@testable import FlowModels
@testable import StreamFlow

/// The queue between two tasks: order, capacity, and the release of waiters at its end.
@Suite struct BoundedQueueTests {
  /// Waits until a queue's state is as it must become.
  private static func until(_ condition: () async -> Bool) async {
    while await !condition() { await Task.yield() }
  }

  @Test("Elements keep their order, wait for room, and are not lost")
  func order() async {
    let queue = BoundedQueue<Int>(capacity: 2)
    let putting = Task {
      for number in 0..<100 { #expect(await queue.put(number)) }
      await queue.finish()
    }
    var taken: [Int] = []
    while let number = await queue.next() {
      taken.append(number)
      #expect(await queue.count <= 2)
    }
    await putting.value
    #expect(taken == Array(0..<100))
    #expect(await queue.next() == nil)
    #expect(await !queue.put(100))
  }

  @Test("A batch is what is there, one at least, and no more than asked for")
  func batches() async {
    let queue = BoundedQueue<Int>(capacity: 8)
    for number in 0..<5 { #expect(await queue.put(number)) }
    #expect(await queue.nextBatch(limit: 3) == [0, 1, 2])
    #expect(await queue.nextBatch(limit: 3) == [3, 4])
    let waiting = Task { await queue.nextBatch(limit: 3) }
    #expect(await queue.put(5))
    #expect(await waiting.value.first == 5)
    await queue.finish()
    #expect(await queue.nextBatch(limit: 3).isEmpty)
  }

  @Test("An offer never waits: the oldest that may be dropped makes room, or the offer itself")
  func offers() async {
    let queue = BoundedQueue<Int>(capacity: 2)
    func dropped(_ element: Int, mayDrop: @escaping @Sendable (Int) -> Bool) async -> Int?? {
      guard case .taken(let dropped) = await queue.offer(element, mayDrop: mayDrop) else {
        return nil
      }
      return .some(dropped)
    }
    #expect(await dropped(1) { _ in true } == .some(nil))
    #expect(await dropped(2) { _ in true } == .some(nil))
    #expect(await dropped(3) { $0 == 2 } == 2)
    #expect(await dropped(4) { _ in false } == 4)
    await queue.finish()
    #expect(await dropped(5) { _ in true } == .none)
    #expect(await queue.nextBatch(limit: 9) == [1, 3])
  }

  @Test("While on hold no element is taken; elements added meanwhile are taken afterwards")
  func hold() async {
    let queue = BoundedQueue<Int>(capacity: 2)
    await queue.hold(true)
    #expect(await queue.put(1))
    #expect(await queue.takeNow() == nil)
    let waiting = Task { await queue.next() }
    #expect(await queue.put(2))
    #expect(await queue.count == 2)
    await queue.hold(false)
    #expect(await waiting.value == 1)
    // Its end takes a queue off hold.
    await queue.hold(true)
    await queue.finish()
    #expect(await queue.next() == 2)
    #expect(await queue.next() == nil)
  }

  @Test("A cancelled waiter returns at once, and takes no other's position")
  func cancelled() async {
    let queue = BoundedQueue<Int>(capacity: 1)
    let taking = Task { await queue.next() }
    await Self.until { await queue.waiterCount == 1 }
    taking.cancel()
    #expect(await taking.value == nil)
    #expect(await queue.put(1))
    let first = Task { await queue.put(2) }
    await Self.until { await queue.waiterCount == 1 }
    let second = Task { await queue.put(3) }
    await Self.until { await queue.waiterCount == 2 }
    first.cancel()
    #expect(await !first.value)
    #expect(await queue.next() == 1)
    #expect(await second.value)
    #expect(await queue.next() == 3)
  }

  @Test("Room that comes as its first waiter is cancelled goes to the next", arguments: 0..<50)
  func cancelledWithRoom(_: Int) async {
    let queue = BoundedQueue<Int>(capacity: 1)
    #expect(await queue.put(1))
    let first = Task { await queue.put(2) }
    await Self.until { await queue.waiterCount == 1 }
    let second = Task { await queue.put(3) }
    await Self.until { await queue.waiterCount == 2 }
    first.cancel()
    #expect(await queue.takeNow() == 1)
    #expect(await second.value)
    #expect(await !first.value)
    #expect(await queue.next() == 3)
  }

  @Test("A closed queue returns its remaining elements, and releases all waiters")
  func closed() async {
    let queue = BoundedQueue<Int>(capacity: 2)
    #expect(await queue.put(1))
    #expect(await queue.put(2))
    let putting = Task { await queue.put(3) }
    await Self.until { await queue.waiterCount == 1 }
    #expect(await queue.close() == [1, 2])
    #expect(await !putting.value)
    #expect(await queue.next() == nil)

    let empty = BoundedQueue<Int>(capacity: 1)
    let taking = Task { await empty.next() }
    await Self.until { await empty.waiterCount == 1 }
    #expect(await empty.close().isEmpty)
    #expect(await taking.value == nil)
  }
}
