import Testing

@testable import FlowModels
@testable import StreamFlow

@Suite struct AdmissionQueueTests {
  /// Takes everything out, always the one that is next.
  private static func drain(_ queue: inout AdmissionQueue<String>) -> [String] {
    var taken: [String] = []
    while let head = queue.heads.first {
      if let element = queue.take(from: head.stream) { taken.append(element) }
    }
    return taken
  }

  @Test("Clients take turns, and within a client its streams, each in its order")
  func turns() {
    var queue = AdmissionQueue<String>()
    queue.add(["a1", "a2", "a3", "a4"], stream: 0, client: "ann")
    queue.add(["b1", "b2"], stream: 1, client: "ben")
    queue.add(["c1", "c2"], stream: 2, client: "ann")
    #expect(queue.count == 8)
    #expect(queue.heads.map(\.element) == ["a1", "b1", "c1"])
    #expect(Self.drain(&queue) == ["a1", "b1", "c1", "b2", "a2", "c2", "a3", "a4"])
    #expect(queue.isEmpty && queue.count == 0)
  }

  @Test("A thousand images of one client hold another's one up by one")
  func fairness() {
    var queue = AdmissionQueue<String>()
    queue.add([String](repeating: "long", count: 1000), stream: 0, client: "a")
    for _ in 0..<500 { _ = queue.take(from: 0) }
    queue.add(["short"], stream: 1, client: "b")
    #expect(Self.drain(&queue).firstIndex(of: "short") == 1)
  }

  @Test("A stream that is taken out leaves the others in their order")
  func removal() {
    var queue = AdmissionQueue<String>()
    queue.add(["a1", "a2"], stream: 0, client: "ann")
    queue.add(["b1", "b2"], stream: 1, client: "ben")
    queue.remove(stream: 0)
    queue.remove(stream: 7)
    #expect(queue.count == 2 && queue.count(of: 0) == 0 && queue.count(of: 1) == 2)
    #expect(Array(queue.elements) == ["b1", "b2"])
    #expect(queue.take(from: 0) == nil)
    queue.add([], stream: 3, client: "cem")
    #expect(Self.drain(&queue) == ["b1", "b2"])
  }
}

@Suite struct TickShareTests {
  private static func flights(brief: Int, long: Int, rows: Int = 1) -> [TickShare.Flight] {
    // The long ones came first.
    (0..<long + brief).map {
      TickShare.Flight(id: $0, rowCount: rows, isBrief: $0 >= long)
    }
  }

  @Test("Beside long streams, all brief rows advance and few of the others, but some")
  func shares() {
    func chosen(_ brief: Int, _ long: Int, rows: Int = 1, capacity: Int = 16) -> [Int] {
      let flights = Self.flights(brief: brief, long: long, rows: rows)
      let waiting = TickShare.waiting(of: flights, rowCapacity: capacity)
      return flights.map(\.id).filter { !waiting.contains($0) }
    }
    // One kind alone: everything that there is room for, oldest first.
    #expect(chosen(0, 16) == Array(0..<16))
    #expect(chosen(16, 0) == Array(0..<16))
    #expect(chosen(20, 0) == Array(0..<16))
    // Brief ones: all of them, and the oldest of the sixteen.
    #expect(chosen(1, 16) == [0, 16])
    #expect(chosen(6, 16) == [0] + Array(16..<22))
    // Many brief: all but the rows that the long ones have in any case.
    #expect(chosen(16, 16) == [0] + Array(16..<31))
    // Two rows each.
    #expect(chosen(1, 8, rows: 2) == [0, 8])
    #expect(chosen(8, 8, rows: 2) == [0] + Array(8..<15))
    // The least that there can be: never nothing.
    #expect(chosen(1, 1, capacity: 1) == [1])
    #expect(chosen(1, 1, rows: 2, capacity: 2).count == 1)
  }
}
